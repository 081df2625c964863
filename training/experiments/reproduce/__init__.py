"""The comparisons of the Deep InfoMax paper (Hjelm et al. 2019, section 4) at an affordable budget."""
