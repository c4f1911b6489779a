package ssh

import "testing"

// What sudo says when it refuses, and what it says on the way to doing as asked:
// that of Debian and Ubuntu 24.04, and the one in Rust that Ubuntu has since.
func TestSudoRefused(t *testing.T) {
	for name, c := range map[string]struct {
		stderr string
		want   bool
	}{
		"sudo, no password given":    {"sudo: a password is required\n", true},
		"sudo, wrong password":       {"Sorry, try again.\nsudo: 1 incorrect password attempt\n", true},
		"sudo, without a terminal":   {"We trust you have received the usual lecture\n\nsudo: a terminal is required to read the password\n", true},
		"sudo-rs, no password given": {"sudo: interactive authentication is required\n", true},
		"sudo-rs, wrong password":    {"\nsudo: Authentication failed, try again.\n\nsudo: maximum 3 incorrect authentication attempts\n", true},
		"the host has no name":       {"sudo: unable to resolve host worker-1: Name or service not known\n", false},
		"the command itself failed":  {"sudo: unable to resolve host worker-1: Name or service not known\nmkdir: cannot create directory\n", false},
		"the command said nothing":   {"", false},
		"the command speaks of sudo": {"try sudo: you may not\n", false},
		"two hints before a refusal": {"sudo: unable to resolve host a\nsudo: a password is required\n", true},
	} {
		if got := sudoRefused(c.stderr); got != c.want {
			t.Errorf("%s: refused is %v", name, got)
		}
	}
}
