billing_account = "000000-000000-000000" # yours
monthly_budget  = 25000
