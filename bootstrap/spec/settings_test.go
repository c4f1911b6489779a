package spec

import (
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/addr"
)

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	for _, tc := range []struct {
		kubelet Kubelet
		manager ControllerManager
		want    string // "" is fine
	}{
		{kubelet: Kubelet{MaxPods: 250, Reserved: map[string]string{"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "10G"}}},
		{kubelet: Kubelet{MaxPods: 251}, want: "max_pods 251"},
		{kubelet: Kubelet{MaxPods: -1}, want: "max_pods -1"},
		{kubelet: Kubelet{Reserved: map[string]string{"gpu": "1"}}, want: `"gpu" is none of`},
		{kubelet: Kubelet{Reserved: map[string]string{"cpu": "much"}}, want: `"much" is not a quantity`},
		{kubelet: Kubelet{Reserved: map[string]string{"cpu": "-1"}}, want: `"-1" is not a quantity`},
		{kubelet: Kubelet{RuntimeHandlers: map[string]string{"kata": "io.containerd.kata-qemu.v2", "gvisor": "io.containerd.runsc.v1"}, ImagePullCredentialsVerification: "AlwaysVerify"}},
		{kubelet: Kubelet{RuntimeHandlers: map[string]string{"Kata": "io.containerd.kata.v2"}}, want: `"Kata" is no name of a handler`},
		{kubelet: Kubelet{RuntimeHandlers: map[string]string{"runc": "io.containerd.kata.v2"}}, want: "runc is always there"},
		{kubelet: Kubelet{RuntimeHandlers: map[string]string{"kata": "kata"}}, want: `"kata" is no runtime of containerd`},
		{kubelet: Kubelet{RuntimeHandlers: map[string]string{"kata": "../kata.v2"}}, want: `"../kata.v2" is no runtime of containerd`},
		{kubelet: Kubelet{RuntimeHandlers: map[string]string{"kata": ""}}, want: `"" is no runtime of containerd`},
		{kubelet: Kubelet{ImagePullCredentialsVerification: "Always"}, want: `"Always" is none of [NeverVerify`},
		{manager: ControllerManager{NodeMonitorGracePeriod: 20 * time.Second, TerminatedPodThreshold: 1}},
		{manager: ControllerManager{NodeMonitorGracePeriod: 19 * time.Second}, want: "19s is too short"},
		{manager: ControllerManager{TerminatedPodThreshold: -1}, want: "is negative"},
	} {
		c := Cluster{Name: "c", Network: Network{addr.MustPrefixes(DefaultPodCIDR), addr.MustPrefixes(DefaultServiceCIDR), DefaultDNSDomain, ""}, Masters: []Host{{Name: "m", Address: "192.0.2.1"}},
			Kubelet: tc.kubelet, ControllerManager: tc.manager}
		err := c.Validate()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v %+v: got %v, want %q", tc.kubelet, tc.manager, err, tc.want)
		}
		if err := (Pool{Name: "p", Kubelet: tc.kubelet}).Validate(); (err != nil) != (tc.want != "" && tc.manager == ControllerManager{}) {
			t.Errorf("a pool with %+v: %v", tc.kubelet, err)
		}
	}
}
