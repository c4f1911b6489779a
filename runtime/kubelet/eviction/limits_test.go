package eviction

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/utils/ptr"
)

const mi = 1 << 20

// testPod has the containers main and idle, the sidecar side, the init container init and
// the volumes disk and memory, with the limits by name; "": none.
func testPod(limits map[string]string) *corev1.Pod {
	p := &corev1.Pod{}
	p.UID, p.Name, p.Namespace = "u", "p", "ns"
	container := func(name string) corev1.Container {
		c := corev1.Container{Name: name}
		if l := limits[name]; l != "" {
			c.Resources.Limits = corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(l)}
		}
		return c
	}
	side := container("side")
	side.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	p.Spec.InitContainers = []corev1.Container{side, container("init")}
	p.Spec.Containers = []corev1.Container{container("main"), container("idle")}
	for name, medium := range map[string]corev1.StorageMedium{"disk": corev1.StorageMediumDefault, "memory": corev1.StorageMediumMemory} {
		v := corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: medium}}}
		if l := limits[name]; l != "" {
			v.EmptyDir.SizeLimit = ptr.To(resource.MustParse(l))
		}
		p.Spec.Volumes = append(p.Spec.Volumes, v)
	}
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "other"})
	return p
}

// use is what its containers and volumes take, in bytes; of a container a part of that is
// its log.
type use map[string]uint64

func (u use) stats(logs uint64) *statsapi.PodStats {
	fs := func(n uint64) *statsapi.FsStats { return &statsapi.FsStats{UsedBytes: &n} }
	out := &statsapi.PodStats{PodRef: statsapi.PodReference{UID: "u"}}
	var sum uint64
	for name, n := range u {
		switch name {
		case "disk", "memory", "other":
			out.VolumeStats = append(out.VolumeStats, statsapi.VolumeStats{Name: name, FsStats: *fs(n)})
		default:
			part := min(logs, n)
			out.Containers = append(out.Containers, statsapi.ContainerStats{Name: name, Rootfs: fs(n - part), Logs: fs(part)})
		}
		if name != "memory" {
			sum += n
		}
	}
	out.EphemeralStorage = fs(sum)
	return out
}

func TestLimits(t *testing.T) {
	type limits = map[string]string
	for _, c := range []struct {
		name    string
		limits  limits
		use     use
		limited bool
		want    string
	}{
		{"no limits", nil, use{"main": 1 << 40, "disk": 1 << 40}, false, ""},
		{"a volume at its limit", limits{"disk": "5Mi"}, use{"disk": 5 * mi}, true, ""},
		{"a volume over it", limits{"disk": "5Mi"}, use{"disk": 5*mi + 1}, true, `Usage of EmptyDir volume "disk" exceeds the limit "5Mi". `},
		{"another volume", limits{"disk": "5Mi"}, use{"other": 50 * mi, "memory": 50 * mi}, true, ""},
		{"one in memory", limits{"memory": "5Mi"}, use{"memory": 6 * mi}, false, ""},
		{"a volume's limit of nothing", limits{"disk": "0"}, use{"disk": 1}, false, ""},
		{"what a volume takes is not known", limits{"disk": "5Mi"}, use{}, true, ""},
		{"a container at its limit", limits{"main": "5Mi", "idle": "5Mi"}, use{"main": 5 * mi}, true, ""},
		{"a container over it", limits{"main": "5Mi", "idle": "5Mi"}, use{"main": 5*mi + 1}, true, `Container main exceeded its local ephemeral storage limit "5Mi". `},
		{"a sidecar over it", limits{"side": "5Mi", "main": "9Mi"}, use{"side": 6 * mi}, true, `Container side exceeded its local ephemeral storage limit "5Mi". `},
		{"an init container over it", limits{"init": "5Mi", "main": "20Mi"}, use{"init": 6 * mi}, true, ""},
		{"a container of no limit", limits{"main": "20Mi"}, use{"idle": 6 * mi}, true, ""},
		{"a debugger", limits{"main": "5Mi"}, use{"debugger": 5 * mi}, true, ""},
		{"the pod over the sum", limits{"main": "5Mi", "idle": "5Mi"}, use{"main": 5 * mi, "idle": 5 * mi, "other": 1}, true,
			"Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "},
		{"the pod first", limits{"main": "5Mi"}, use{"main": 5*mi + 1}, true, "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. "},
		{"a volume before it", limits{"main": "5Mi", "disk": "1Mi"}, use{"main": 6 * mi, "disk": 2 * mi}, true, `Usage of EmptyDir volume "disk" exceeds the limit "1Mi". `},
		{"a limit of nothing", limits{"main": "0"}, use{"main": 1}, true, "Pod ephemeral local storage usage exceeds the total limit of containers 0. "},
		{"it counts for the pod only", limits{"main": "0", "idle": "5Mi"}, use{"main": 1}, true, ""},
	} {
		p := testPod(c.limits)
		if got := limited(p); got != c.limited {
			t.Errorf("%s: limited is %t", c.name, got)
		}
		for _, logs := range []uint64{0, 3 * mi, 1 << 50} { // the layer, both, the logs
			if got := overLimit(p, c.use.stats(logs)); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	for _, p := range []*corev1.Pod{testPod(limits{"main": "1"}), testPod(limits{"disk": "1"})} {
		if got := overLimit(p, &statsapi.PodStats{Containers: []statsapi.ContainerStats{{Name: "main"}}, VolumeStats: []statsapi.VolumeStats{{Name: "disk"}}}); got != "" {
			t.Errorf("nothing is known, and it is %q", got)
		}
	}
}
