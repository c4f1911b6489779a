package kubelet

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/cgroup"
)

// machine is what this server has and is.
type machine struct {
	cpus, memory, disk                                             int64
	arch, kernel, hostname, osImage, machineID, systemUUID, bootID string
	reserved                                                       corev1.ResourceList
}

func readMachine(cfg config.KubeletConfig) (machine, error) {
	m := machine{cpus: int64(runtime.NumCPU()), arch: runtime.GOARCH, reserved: corev1.ResourceList{}}
	for name, v := range cfg.Reserved {
		q, err := resource.ParseQuantity(v)
		if err != nil {
			return m, fmt.Errorf("reserved.%s: %w", name, err)
		}
		m.reserved[corev1.ResourceName(name)] = q
	}
	total, _, err := meminfo()
	if err != nil {
		return m, err
	}
	m.memory = total
	var st unix.Statfs_t
	// The directory may not be there yet; its nearest parent is on the same disk.
	for dir := cfg.RootDir; ; dir = filepath.Dir(dir) {
		if err := unix.Statfs(dir, &st); err == nil || dir == "/" {
			break
		}
	}
	m.disk = int64(st.Blocks) * st.Bsize
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return m, fmt.Errorf("uname: %w", err)
	}
	m.kernel, m.hostname = unix.ByteSliceToString(uts.Release[:]), unix.ByteSliceToString(uts.Nodename[:])
	read := func(path string) string {
		b, _ := os.ReadFile(path)
		return strings.TrimSpace(string(b))
	}
	m.machineID, m.bootID = read("/etc/machine-id"), read("/proc/sys/kernel/random/boot_id")
	if m.systemUUID = read("/sys/class/dmi/id/product_uuid"); m.systemUUID == "" {
		m.systemUUID = m.machineID
	}
	m.osImage = "Linux"
	for _, line := range strings.Split(read("/etc/os-release"), "\n") {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			m.osImage = strings.Trim(v, `"`)
		}
	}
	return m, nil
}

// meminfo returns the memory of the machine and what is available, in bytes.
func meminfo() (total, available int64, err error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "MemTotal:":
			total = n << 10
		case "MemAvailable:":
			available = n << 10
		}
	}
	return total, available, nil
}

// The thresholds at which a node asks for no more pods, as upstream's.
const (
	memoryFloor = 100 << 20 // bytes
	diskFloor   = 10        // percent free
	pidFloor    = 10        // percent free
)

// pressure says what the server is short of.
func (k *Kubelet) pressure() (memory, disk, pids bool) {
	if _, available, err := meminfo(); err == nil {
		memory = available < memoryFloor
	}
	var st unix.Statfs_t
	if err := unix.Statfs(k.cfg.RootDir, &st); err == nil && st.Blocks > 0 {
		disk = st.Bavail*100/st.Blocks < diskFloor
	}
	var si unix.Sysinfo_t
	if limit, err := os.ReadFile("/proc/sys/kernel/pid_max"); err == nil && unix.Sysinfo(&si) == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(limit)), 10, 64); err == nil && n > 0 {
			pids = uint64(si.Procs)*100/n > 100-pidFloor
		}
	}
	return memory, disk, pids
}

// ensureCgroups makes the tree that pods are placed in.
func (k *Kubelet) ensureCgroups() error {
	memory := k.allocatable()[corev1.ResourceMemory]
	top := cgroup.Values{}
	if _, reserved := k.machine.reserved[corev1.ResourceMemory]; reserved {
		top.MemoryLimit = memory.Value() // what is reserved stays the server's
	}
	for path, v := range map[string]cgroup.Values{
		k.cfg.CgroupRoot: top,
		filepath.Join(k.cfg.CgroupRoot, "besteffort"): {CPUShares: cgroup.MinShares},
		filepath.Join(k.cfg.CgroupRoot, "burstable"):  {},
	} {
		if err := cgroup.Ensure(path, v); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroups removes a pod's cgroup in whichever class it is.
func (k *Kubelet) removeCgroups(uid string) error {
	for _, qos := range []corev1.PodQOSClass{corev1.PodQOSGuaranteed, corev1.PodQOSBurstable, corev1.PodQOSBestEffort} {
		if err := cgroup.Remove(podCgroup(k.cfg.CgroupRoot, qos, uid)); err != nil {
			return err
		}
	}
	return nil
}

// admit says why a pod that was bound to this node cannot run here (nil: it can).
// The scheduler checked the same, on what it knew then.
func (k *Kubelet) admit(ctx context.Context, pod *corev1.Pod) *terminal {
	// The labels are asked for, since an operator's newest one may be why the pod
	// is here. An API that does not answer now is no reason to refuse it.
	if pod.Spec.NodeSelector != nil || (pod.Spec.Affinity != nil && pod.Spec.Affinity.NodeAffinity != nil) {
		node, err := k.api.CoreV1().Nodes().Get(ctx, k.cfg.NodeName, metav1.GetOptions{})
		if err == nil {
			if ok, merr := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); merr != nil || !ok {
				return &terminal{"NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"}
			}
		}
	}
	pods, err := k.pods.List(labels.Everything())
	if err != nil {
		return nil
	}
	used, count := corev1.ResourceList{}, int64(0)
	for _, p := range pods {
		w := k.worker(string(p.UID))
		if p.UID == pod.UID || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed || w == nil || p.Status.StartTime == nil {
			continue
		}
		count++
		for name, q := range resourcehelper.PodRequests(p, resourcehelper.PodResourcesOptions{}) {
			sum := used[name]
			sum.Add(q)
			used[name] = sum
		}
	}
	allocatable := k.allocatable()
	most := allocatable[corev1.ResourcePods]
	if count+1 > most.Value() {
		return &terminal{"OutOfpods", fmt.Sprintf("Node didn't have enough resource: pods, requested: 1, used: %d, capacity: %d", count, most.Value())}
	}
	for name, want := range resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{}) {
		have, known := allocatable[name]
		if want.IsZero() || !known {
			continue
		}
		in := used[name]
		sum := in.DeepCopy()
		sum.Add(want)
		if sum.Cmp(have) > 0 {
			return &terminal{"OutOf" + string(name), fmt.Sprintf("Node didn't have enough resource: %s, requested: %s, used: %s, capacity: %s", name, want.String(), in.String(), have.String())}
		}
	}
	return nil
}
