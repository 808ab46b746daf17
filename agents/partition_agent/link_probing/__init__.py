"""Measuring a link to another agent, over the kind of socket that frames take."""
