# Packaging, checking and deploying. ENV=dev|prod; DRY_RUN=1 does all of it against a stand-in, nothing leaves this machine.
ENV ?= dev
DEPLOY = $(PY) terraform/tools/deploy.py
DEPLOY_FLAGS = --env $(ENV) $(if $(DRY_RUN),--dry-run) $(if $(YES),--yes) $(if $(SECRETS),--secrets $(SECRETS))

.PHONY: package terraform-check doctor plan deploy rollback close scoring adopt budget destroy cost

package: $(VENV)/.run ## One deterministic zip per deployment, named by its contents
	$(PY) terraform/tools/bundle.py .payin/bundles

terraform-check: $(VENV)/.deploy ## Format, validate, terraform test, plans held to the policy; says which provider it used
	$(PY) terraform/tools/check.py

doctor: $(VENV)/.run ## What would stop a deployment: quotas, the organisation's policies, roles, state, champion (ENV=dev|prod DATABASE=a restored one)
	$(PY) terraform/tools/doctor.py --env $(ENV) $(if $(DATABASE),--database $(DATABASE))

plan: $(VENV)/.deploy ## What a deployment from here would change, against the real state; nothing is uploaded (ENV=dev|prod DRY_RUN=1)
	$(DEPLOY) plan $(DEPLOY_FLAGS)

deploy: $(VENV)/.deploy ## Package, upload, plan, say why, ask, apply, a share first, smoke test (ENV=dev|prod DRY_RUN=1 SECRETS=file YES=1 SHARE=5 MINUTES=10 RESUME=1)
	$(DEPLOY) deploy $(DEPLOY_FLAGS) $(if $(SHARE),--share $(SHARE)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RESUME),--resume)

rollback: $(VENV)/.run ## Requests to the revision that served before, in seconds (FN=score_payment|webhook-stripe ENV=dev|prod DRY_RUN=1)
	$(DEPLOY) rollback $(DEPLOY_FLAGS) --function "$(FN)"

# Not the Makefile's own default of PROVIDER: who closes one names it.
close: $(VENV)/.run ## Shut the internet out of a provider's webhook, in seconds (PROVIDER=stripe OPEN=1 ENV=dev|prod DRY_RUN=1)
	$(DEPLOY) close $(DEPLOY_FLAGS) --provider "$(if $(filter file,$(origin PROVIDER)),,$(PROVIDER))" $(if $(OPEN),--again)

scoring: $(VENV)/.run ## Score by rules alone, or by the champion again, within a minute (MODEL=none|champion ENV=dev|prod DRY_RUN=1)
	$(DEPLOY) scoring $(DEPLOY_FLAGS) --model "$(MODEL)"

adopt: $(VENV)/.deploy ## Take a restored database into the state (DATABASE=payin-20261126 ENV=dev|prod DRY_RUN=1)
	$(DEPLOY) adopt $(DEPLOY_FLAGS) --database "$(DATABASE)"

budget: $(VENV)/.deploy ## The budget alert, in a state of its own; wants a role on the billing account (ENV=prod)
	$(DEPLOY) budget $(DEPLOY_FLAGS)

destroy: $(VENV)/.deploy ## Take an environment down; refuses in prod (ENV=dev DRY_RUN=1)
	$(DEPLOY) destroy $(DEPLOY_FLAGS)

cost: $(VENV)/.run ## What it costs a month and which quotas it meets, with the arithmetic
	$(PY) -m terraform.tools.cost
