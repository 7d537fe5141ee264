"""Who is trusted, and why: names, lists, certificates, revocation and the one verdict (`policy`)."""
