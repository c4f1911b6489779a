package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// anyHostIP stands in a comment for a mapping that names no address of the host.
const anyHostIP = "*"

// comment is what a rule says about its mapping: whose it is, and all of it. It is read
// back by the next process, which else would take the host ports of all pods away until
// it has found each of them again.
func comment(link string, m portMapping) []byte {
	hostIP := m.HostIP
	if hostIP == "" {
		hostIP = anyHostIP
	}
	return userdata.AppendString(nil, userdata.TypeComment,
		fmt.Sprintf("%s %s %s %d %s %d", link, m.Protocol, hostIP, m.HostPort.HostPort, m.pod, m.ContainerPort))
}

// parseComment is false for a rule that is none of ours.
func parseComment(data []byte) (link string, m portMapping, ok bool) {
	text, ok := userdata.GetString(data, userdata.TypeComment)
	f := strings.Fields(strings.TrimRight(text, "\x00"))
	if !ok || len(f) != 6 || !isPodLink(f[0]) {
		return "", m, false
	}
	hostPort, err := strconv.ParseUint(f[3], 10, 16)
	pod, err2 := netip.ParseAddr(f[4])
	port, err3 := strconv.ParseUint(f[5], 10, 16)
	if errors.Join(err, err2, err3) != nil {
		return "", m, false
	}
	m = portMapping{HostPort{Protocol: f[1], HostIP: f[2], HostPort: uint16(hostPort), ContainerPort: uint16(port)}, pod}
	if m.HostIP == anyHostIP {
		m.HostIP = ""
	}
	return f[0], m, true
}

// restorePorts takes up the host ports that an earlier process gave to pods which are
// still attached.
func (n *Network) restorePorts() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open nftables: %w", err)
	}
	t := &nftables.Table{Name: config.NetworkTable, Family: nftables.TableFamilyIPv4}
	rules, err := conn.GetRules(t, &nftables.Chain{Name: preroutingChain, Table: t})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the host ports in the nftables table %s: %w", config.NetworkTable, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	addPorts(n.ports, rules, func(link string) bool {
		_, err := netlink.LinkByName(link)
		return err == nil
	})
	return nil
}

// addPorts adds the host ports that rules tell of. Of a link that is not there the pod is
// gone, or is attached anew.
func addPorts(ports map[string][]portMapping, rules []*nftables.Rule, isThere func(link string) bool) {
	for _, r := range rules {
		if link, m, ok := parseComment(r.UserData); ok && isThere(link) {
			ports[link] = append(ports[link], m)
		}
	}
}
