"""What is special to one provider in how its disputes are answered."""
