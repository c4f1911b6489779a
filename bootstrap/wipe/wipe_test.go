package wipe

import (
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// pending are the names of the steps that a host needs, and what each of them is to do.
func pending(seen step.Seen) (names []string, text string) {
	for _, s := range step.Pending(seen, Steps()) {
		names = append(names, s.Name)
		text += s.String()
	}
	return names, text
}

func TestWhatIsLeftToWipe(t *testing.T) {
	const stop, clean, units, files = "stop processes", "clean the kernel", "remove units", "remove files"
	there := func(paths ...string) step.Seen {
		s := step.Seen{Files: map[string]host.FileInfo{}}
		for _, p := range paths {
			s.Files[p] = host.FileInfo{}
		}
		return s
	}
	for what, tc := range map[string]struct {
		seen step.Seen
		want []string
		does []string // parts of what is to be done
		not  []string
	}{
		"a bare host":             {step.Seen{}, nil, nil, nil},
		"what others have":        {there("/etc/hosts", "/var/lib/docker"), nil, nil, nil},
		"a unit that runs":        {step.Seen{Units: map[string]step.UnitState{"gantry-kubelet.service": {Active: "active"}}}, []string{stop}, []string{"gantry-kubelet.service"}, nil},
		"a unit that is enabled":  {step.Seen{Units: map[string]step.UnitState{"gantry-etcd.service": {Active: "inactive", Enabled: true}}}, []string{stop}, nil, nil},
		"a unit that has ended":   {step.Seen{Units: map[string]step.UnitState{"gantry-etcd.service": {Active: "inactive"}}}, nil, nil, nil},
		"the program":             {there(config.Binary("gantry")), []string{clean}, []string{"host clean"}, []string{"end-leftovers"}},
		"programs":                {there(config.BinDir), []string{clean}, []string{"end-leftovers"}, []string{"host clean"}},
		"a state that was cut":    {there(config.StateDir), []string{clean, files}, []string{"end-leftovers", "remove " + config.StateDir}, []string{"host clean", config.PodLogDir}},
		"what runs":               {there(config.RunDir), []string{clean, files}, []string{"end-leftovers", "/opt/gantry"}, []string{"host clean"}},
		"a unit's file":           {there("/etc/systemd/system/gantry-dns.service"), []string{units}, nil, nil},
		"half a unit's file":      {there("/etc/systemd/system/gantry-dns.service.gantry-new"), []string{units}, nil, nil},
		"logs of pods":            {there(config.PodLogDir), []string{files}, []string{config.PodLogDir}, []string{config.ConfigDir}},
		"device plugins":          {there(config.DevicePluginDir), []string{files}, []string{"remove-plugins", config.SharedKubeletDir}, []string{config.ConfigDir, config.PodLogDir}},
		"the identity":            {there(config.ConfigDir), []string{files}, []string{config.ConfigDir}, []string{config.PodLogDir, config.StateDir}},
		"kernel modules":          {there(install.ModulesFile), []string{files}, []string{install.ModulesFile}, nil},
		"half of kernel modules":  {there(install.ModulesFile + host.NewSuffix), []string{files}, nil, nil},
		"a directory of programs": {there("/opt/gantry"), []string{files}, []string{"/opt/gantry"}, nil},
		"all of it": {there(config.Binary("gantry"), config.StateDir, config.ConfigDir, "/etc/systemd/system/gantry-dns.service"),
			[]string{clean, units, files}, []string{"host clean", "end-leftovers"}, nil},
	} {
		got, text := pending(tc.seen)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
		for _, part := range tc.does {
			if !strings.Contains(text, part) {
				t.Errorf("%s: %s is not done by\n%s", what, part, text)
			}
		}
		for _, part := range tc.not {
			if strings.Contains(text, part) {
				t.Errorf("%s: %s is done by\n%s", what, part, text)
			}
		}
	}
}

// While its identity is there, a host whose wipe was cut is seen to be unfinished.
func TestTheIdentityGoesLast(t *testing.T) {
	steps := Steps()
	last := steps[len(steps)-1]
	remove, ok := last.Changes[len(last.Changes)-1].(step.Remove)
	if !ok || !slices.Equal(remove.Paths, []string{config.ConfigDir}) {
		t.Errorf("last is %s", last.Changes[len(last.Changes)-1])
	}
}

func TestNobodyOutlivesWhatItDependsOn(t *testing.T) {
	stop, ok := Steps()[0].Changes[0].(step.Stop)
	want := []string{
		"gantry-dns.service", "gantry-proxy.service", "gantry-kubelet.service", "gantry-containerd.service",
		"gantry-scheduler.service", "gantry-controller-manager.service", "gantry-apiserver.service", "gantry-etcd.service",
	}
	if !ok || !slices.Equal(stop.Units, want) {
		t.Errorf("units are stopped in the order %v", stop.Units)
	}
	stop, ok = StopServing().Changes[0].(step.Stop)
	if !ok || !slices.Equal(stop.Units, want[4:7]) {
		t.Errorf("a master that serves no more stops %v", stop.Units)
	}
	if config.MasterComponents()[0] != config.Etcd || len(config.MasterComponents()) != 4 {
		t.Errorf("masters' components have become %v", config.MasterComponents())
	}
}
