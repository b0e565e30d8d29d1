"""The words of programs that were written for other servers, said in ours."""
