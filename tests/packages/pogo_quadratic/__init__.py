"""A package of an algorithm of its own, as a user's: a known Q, -(h/2) |a - c|^2, lambda = 1 and a frozen actor 0."""

NAME = "quadratic"
