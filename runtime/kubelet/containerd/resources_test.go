package containerd

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func TestAResizeTakesLimitsAwayToo(t *testing.T) {
	r := linuxResources(container.Resources{CPUShares: 512, CPUPeriod: 100_000})
	if *r.CPU.Shares != 512 || *r.CPU.Quota != -1 || *r.Memory.Limit != -1 {
		t.Errorf("without limits: shares %d, quota %d, memory %d", *r.CPU.Shares, *r.CPU.Quota, *r.Memory.Limit)
	}
	r = linuxResources(container.Resources{CPUShares: 2, CPUQuota: 50_000, CPUPeriod: 100_000, MemoryLimit: 1 << 20})
	if *r.CPU.Quota != 50_000 || *r.CPU.Period != 100_000 || *r.Memory.Limit != 1<<20 {
		t.Errorf("with limits: quota %d of %d, memory %d", *r.CPU.Quota, *r.CPU.Period, *r.Memory.Limit)
	}
}

// TestDevices: what a container's spec names is in the OCI spec, with its cgroup rule.
func TestDevices(t *testing.T) {
	opts := deviceOptions([]container.Device{{HostPath: "/dev/null", ContainerPath: "/dev/mine", Permissions: "rw"}})
	s := &specs.Spec{Linux: &specs.Linux{Resources: &specs.LinuxResources{}}}
	for _, o := range opts {
		if err := o(t.Context(), nil, nil, s); err != nil {
			t.Fatal(err)
		}
	}
	d, rules := s.Linux.Devices, s.Linux.Resources.Devices
	if len(d) != 1 || d[0].Path != "/dev/mine" || d[0].Major != 1 || d[0].Minor != 3 {
		t.Errorf("devices %+v", d)
	}
	if len(rules) != 1 || !rules[0].Allow || rules[0].Access != "rw" || *rules[0].Minor != 3 {
		t.Errorf("rules %+v", rules)
	}
}

// TestLabelsRoundTrip: all that outlives this process is read back.
func TestLabelsRoundTrip(t *testing.T) {
	want := container.Container{
		ID: "id", Pod: container.PodRef{Namespace: "ns", Name: "p", UID: "u"}, Name: "c", Sandbox: "s", Restarts: 4,
		Backoff: 20e9, SpecHash: "h", Actuated: container.Compute{Known: true, CPULimit: 5}, Image: "i", ImageID: "i@d", LogPath: "/l",
	}
	labels := toLabels(container.Spec{Container: want})
	got, err := fromLabels("id", want.StartedAt, labels)
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	delete(labels, labelResources) // as an earlier version left it
	if got, err := fromLabels("id", want.StartedAt, labels); err != nil || got.Actuated.Known {
		t.Errorf("of an earlier version: %+v, %v", got, err)
	}
	labels[labelExit] = `{"code":7,"oomKilled":true}`
	if got, err := fromLabels("id", want.StartedAt, labels); err != nil || got.State != container.StateExited || got.Exit.Code != 7 || !got.Exit.OOMKilled {
		t.Errorf("ended: %+v, %v", got, err)
	}
	for _, broken := range []string{labelRestarts, labelBackoff, labelExit} {
		bad := toLabels(container.Spec{Container: want})
		bad[broken] = "x"
		if _, err := fromLabels("id", want.StartedAt, bad); err == nil {
			t.Errorf("%s=x is taken", broken)
		}
	}
}
