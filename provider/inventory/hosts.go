package inventory

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// ParseHosts reads a list of servers: one a line, or several with commas between. An
// entry is [user@]address[:port], alone, after a name or as name=entry; or a line of
// an INI inventory, with ansible_host, ansible_user and ansible_port. With groups, only
// what stands below one of these [group] lines is taken. The error has a line for each
// entry that cannot be read.
func ParseHosts(text string, groups []string) (map[string]spec.Host, error) {
	out := map[string]spec.Host{}
	var errs []error
	seen := map[string]bool{}
	group := ""
	for i, line := range strings.Split(text, "\n") {
		at := func(err error) error { return fmt.Errorf("line %d: %w", i+1, err) }
		line = withoutComment(line)
		if name, ok := groupLine(line); ok {
			group, seen[name] = name, true
			if strings.Contains(name, ":") {
				errs = append(errs, at(fmt.Errorf("[%s]: only groups that list their hosts themselves are read", name)))
			}
			continue
		}
		if len(groups) > 0 && !slices.Contains(groups, group) {
			continue
		}
		for entry := range strings.SplitSeq(line, ",") {
			fields := strings.Fields(entry)
			if len(fields) == 0 {
				continue
			}
			h, err := parseEntry(fields)
			if err != nil {
				errs = append(errs, at(err))
				continue
			}
			if other, twice := out[h.Name]; twice && other.Address != h.Address {
				errs = append(errs, at(fmt.Errorf("%s is %s and %s", h.Name, other.Address, h.Address)))
			} else if twice && group == "" {
				errs = append(errs, at(fmt.Errorf("%s is listed twice", h.Name)))
			}
			out[h.Name] = h
		}
	}
	for _, g := range groups {
		if !seen[g] {
			errs = append(errs, fmt.Errorf("there is no group [%s]", g))
		}
	}
	return out, errors.Join(errs...)
}

func withoutComment(line string) string {
	line, _, _ = strings.Cut(line, "#")
	line, _, _ = strings.Cut(line, ";")
	return strings.TrimSpace(line)
}

// groupLine is the name in a [group] line. An IPv6 address with a port is none.
func groupLine(line string) (string, bool) {
	if !strings.HasPrefix(line, "[") || !strings.HasSuffix(line, "]") || strings.Contains(line, "]:") {
		return "", false
	}
	return strings.TrimSpace(line[1 : len(line)-1]), true
}

func parseEntry(fields []string) (spec.Host, error) {
	name, login := "", fields[0]
	rest := fields[1:]
	if before, after, found := strings.Cut(login, "="); found {
		name, login = before, after
	} else if len(rest) > 0 && !strings.Contains(rest[0], "=") {
		name, login, rest = login, rest[0], rest[1:]
	}
	variables := map[string]string{}
	for _, f := range rest {
		k, v, found := strings.Cut(f, "=")
		if !found {
			return spec.Host{}, fmt.Errorf("%q was not understood: expected a name, an address and variable=value", strings.Join(fields, " "))
		}
		variables[k] = strings.Trim(v, `"'`)
	}
	if address := variables["ansible_host"]; address != "" {
		name, login = cmp.Or(name, login), address
	}
	h, err := ParseLogin(login)
	if err != nil {
		return h, err
	}
	h.SSH.User = cmp.Or(variables["ansible_user"], h.SSH.User)
	if port := variables["ansible_port"]; port != "" {
		n, ok := parsePort(port)
		if !ok {
			return h, fmt.Errorf("%q is not a port", port)
		}
		h.SSH.Port = n
	}
	h.Name = cmp.Or(name, nodeName(h.Address))
	return h, nil
}

// nodeName makes a node's name of an address: the first label of a DNS name, or the
// numbers of an IP address with dashes.
func nodeName(address string) string {
	if _, err := netip.ParseAddr(address); err == nil {
		return "node-" + strings.NewReplacer(".", "-", ":", "-").Replace(address)
	}
	label, _, _ := strings.Cut(address, ".")
	return strings.ToLower(label)
}
