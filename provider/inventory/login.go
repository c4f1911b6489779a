package inventory

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// ParseLogin reads [user@]address[:port]. The host has no name.
func ParseLogin(s string) (spec.Host, error) {
	var h spec.Host
	user, rest, found := strings.Cut(s, "@")
	if !found {
		user, rest = "", s
	}
	h.SSH.User, h.Address = user, strings.Trim(rest, "[]")
	if address, port, err := net.SplitHostPort(rest); err == nil {
		n, ok := parsePort(port)
		if !ok {
			return h, fmt.Errorf("%q: %q is not a port", s, port)
		}
		h.Address, h.SSH.Port = address, n
	}
	if h.Address == "" || (found && user == "") || strings.ContainsAny(h.Address, " /@") {
		return h, fmt.Errorf("%q: expected [user@]address[:port]", s)
	}
	return h, nil
}

func parsePort(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil && n > 0
}
