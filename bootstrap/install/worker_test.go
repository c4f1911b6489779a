package install

import (
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestAWorkerHasItsOwnCertificatesAlone: what a stolen worker can do is what its node,
// its proxy and its DNS can.
func TestAWorkerHasItsOwnCertificatesAlone(t *testing.T) {
	worker, master := spec.Node{}, spec.Node{Master: true}
	var want []string
	for _, c := range []config.Credential{config.KubeletCert, config.ProxyCert, config.DNSCert} {
		want = append(want, c.CertFile()) // with the key
	}
	want = append(want, config.CA.CertFile())
	if got := CredentialFiles(worker); !slices.Equal(got, want) {
		t.Errorf("a worker has %v, want %v", got, want)
	}
	authority := config.CA.KeyFile()
	if got := CredentialFiles(master); !slices.Contains(got, authority) {
		t.Errorf("a master has %v and not %s", got, authority)
	}
	for _, l := range leaves(worker, Authorities{}) {
		if groups := strings.Join(l.request.Organizations, " "); groups != "" && groups != config.NodesGroup {
			t.Errorf("%s of a worker is of the groups %s", l.credential, groups)
		}
	}
}
