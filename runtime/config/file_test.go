package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/addr"
)

func client() APIClient {
	return APIClient{Servers: []string{"10.0.0.1:6443"}, CAFile: "ca", KeyPair: KeyPair{"c", "k"}}
}

func TestWhatIsMarshalledIsLoaded(t *testing.T) {
	want := &ProxyConfig{
		NodeName: "w1", NodeIPs: addr.MustIPs("10.0.0.2"), Client: client(),
		Health:       Health{ClientCAFile: "ca", KeyPair: KeyPair{"c", "k"}},
		ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16"),
	}
	if err := want.Complete(); err != nil {
		t.Fatal(err)
	}
	data, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "proxy.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got := &ProxyConfig{}
	if err := Load(path, got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ yaml, want string }{
		"an unknown field":  {"nodeNme: w1\n", `unknown field "nodeNme"`},
		"a missing field":   {"nodeIP: 10.0.0.2\n", "nodeName: required"},
		"an address":        {"nodeIP: ten\n", `"ten" is not an IP address`},
		"host bits in CIDR": {"clusterCIDR: 10.244.0.1/16\n", "did you mean 10.244.0.0/16?"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "proxy.yaml")
			if err := os.WriteFile(path, []byte(tc.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Load(path, &ProxyConfig{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}
