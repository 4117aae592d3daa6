"""The life of a job's model: first weights, promotion, last fit, costs, outcome."""
