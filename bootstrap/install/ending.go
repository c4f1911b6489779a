package install

import (
	"fmt"
	"time"

	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// authorityNotice is how long before its end an authority is pointed out.
const authorityNotice = 365 * 24 * time.Hour

// Ending says which certificates among a node's files end soon, and what is to be done.
// A leaf is one of them once its server should have renewed it long ago.
func Ending(n spec.Node, files map[string][]byte, now time.Time) []string {
	var out []string
	on := func(end time.Time) string { return end.UTC().Format(time.RFC3339) }
	for _, l := range leaves(n, Authorities{}) {
		end, err := pki.Expiry(files[l.credential.CertFile()])
		if err == nil && pki.Overdue(end, n.CertificateLifetime, now) {
			out = append(out, fmt.Sprintf("Certificate %s of %s ends on %s, and its server did not renew it: journalctl -u %s says there why. An apply replaces it.",
				l.credential, n.Host.Name, on(end), config.Kubelet.Unit()))
		}
	}
	if !n.Master { // it is told of once
		return out
	}
	for _, c := range config.Authorities() {
		end, err := pki.Expiry(files[c.CertFile()])
		if err == nil && end.Sub(now) < authorityNotice {
			out = append(out, fmt.Sprintf("The authority %s of cluster %s ends on %s, and with it every certificate that it signed. "+
				"Authorities are not renewed: move the workloads to a new cluster before.", c, n.ClusterName, on(end)))
		}
	}
	return out
}
