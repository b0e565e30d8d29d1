"""What turns text into sound and one voice into another. Engines know nothing of requests, files or HTTP."""
