package bootstrap

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/runtime/config"
)

// restarted are the processes that were started more often than once.
func restarted(m *hosttest.Model) []string {
	return slices.DeleteFunc(m.Running(), func(unit string) bool { return m.Starts(unit) < 2 })
}

func TestASettingRestartsTheProcessThatReadsIt(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	pool := w.pool("w1")
	c := grown(t, w, pool)

	pool.Kubelet.RuntimeHandlers, pool.Kubelet.ImagePullCredentialsVerification = map[string]string{"kata": "io.containerd.kata.v2"}, "AlwaysVerify"
	pool.Kubelet.MaxPods, pool.Kubelet.Reserved = 50, map[string]string{"memory": "1Gi"}
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)
	if got := restarted(w.hosts["w1"]); !slices.Equal(got, []string{config.Kubelet.Unit()}) {
		t.Errorf("restarted on the worker: %v", got)
	}
	for _, want := range []string{"maxPods: 50", "memory: 1Gi", "kata: io.containerd.kata.v2", "imagePullCredentialsVerification: AlwaysVerify"} {
		if file := w.hosts["w1"].File(config.Kubelet.ConfigFile()); !strings.Contains(file, want) {
			t.Errorf("no %s in the configuration of the kubelet:\n%s", want, file)
		}
	}

	c.ControllerManager.NodeMonitorGracePeriod = time.Minute
	r, err = w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1"}})
	succeed(t, r, err)
	if got := restarted(w.hosts["m1"]); !slices.Equal(got, []string{config.ControllerManager.Unit()}) {
		t.Errorf("restarted on the master: %v", got)
	}
	if file := w.hosts["m1"].File(config.ControllerManager.ConfigFile()); !strings.Contains(file, "nodeMonitorGracePeriod: 1m0s") {
		t.Errorf("the controller-manager is configured with\n%s", file)
	}
	w.ready(t, w.engine.ObserveCluster(t.Context(), c))
	w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), pool))
}
