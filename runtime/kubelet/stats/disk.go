package stats

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/storage/ephemeral"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// disks adds what lies on disks.
func (s *Summarizer) disks(ctx context.Context, pods []runningPod, out *statsapi.Summary) {
	now := metav1.NewTime(s.Now())
	out.Node.Fs = fileSystem(now, s.Layout.Root)
	image := fileSystem(now, s.ImageDir)
	out.Node.Runtime = &statsapi.RuntimeStats{ImageFs: image, ContainerFs: image}
	if max, running, err := processes(); err == nil {
		out.Node.Rlimit = &statsapi.RlimitStats{Time: now, MaxPID: &max, NumOfRunningProcesses: &running}
	}
	of := map[string]runningPod{}
	for _, p := range pods {
		of[string(p.UID)] = p
	}
	for i := range out.Pods {
		ps := &out.Pods[i]
		s.storage(ctx, now, out.Node.Fs, image, of[ps.PodRef.UID], ps)
	}
}

// storage adds what a pod takes of the file systems of pods and of images.
func (s *Summarizer) storage(ctx context.Context, at metav1.Time, root, image *statsapi.FsStats, p runningPod, ps *statsapi.PodStats) {
	ps.VolumeStats = s.volumes(ctx, at, p.Pod)
	uid := ps.PodRef.UID
	bytes, files := usedBelow(s.Layout.Pod(uid), filepath.Join(s.Layout.Volumes(uid), claimDir))
	for i := range ps.Containers {
		cs := &ps.Containers[i]
		k := slices.IndexFunc(p.containers, func(c container.Container) bool { return c.Name == cs.Name })
		b, f, err := s.Runtime.LayerUsage(ctx, p.containers[k].ID)
		if err == nil {
			cs.Rootfs = used(image, b, f)
			bytes, files = bytes+b, files+f
		}
		b, f = usedBelow(filepath.Dir(p.containers[k].LogPath))
		cs.Logs = used(root, b, f)
		bytes, files = bytes+b, files+f
	}
	ps.EphemeralStorage = used(root, bytes, files)
}

// volumes are what each volume of a pod takes that is a directory of its own: a claim
// its file system, any other what is below it. Of a directory of the server and of an
// image nothing is told, as upstream tells nothing.
func (s *Summarizer) volumes(ctx context.Context, at metav1.Time, p *corev1.Pod) []statsapi.VolumeStats {
	var out []statsapi.VolumeStats
	for i := range p.Spec.Volumes {
		v := &p.Spec.Volumes[i]
		if u, ok := s.Volume(ctx, string(p.UID), v.Name); ok {
			u.Time = at
			out = append(out, statsapi.VolumeStats{Name: v.Name, FsStats: u, PVCRef: claimOf(p, v)})
			continue
		}
		dirs, err := filepath.Glob(filepath.Join(s.Layout.Volumes(string(p.UID)), "*", v.Name))
		if err != nil || len(dirs) != 1 || v.HostPath != nil || v.Image != nil || filepath.Base(filepath.Dir(dirs[0])) == csiDir {
			continue
		}
		fs := fileSystem(at, dirs[0])
		if fs == nil {
			continue
		}
		vs := statsapi.VolumeStats{Name: v.Name, FsStats: *fs, PVCRef: claimOf(p, v)}
		if vs.PVCRef == nil {
			bytes, files := usedBelow(dirs[0])
			vs.FsStats = *used(fs, bytes, files)
		}
		out = append(out, vs)
	}
	return out
}

// claimOf is the claim of a volume, nil where it has none.
func claimOf(p *corev1.Pod, v *corev1.Volume) *statsapi.PVCReference {
	switch {
	case v.PersistentVolumeClaim != nil:
		return &statsapi.PVCReference{Namespace: p.Namespace, Name: v.PersistentVolumeClaim.ClaimName}
	case v.Ephemeral != nil:
		return &statsapi.PVCReference{Namespace: p.Namespace, Name: ephemeral.VolumeClaimName(p, v)}
	}
	return nil
}

// fileSystem is that of a directory as a whole.
func fileSystem(at metav1.Time, dir string) *statsapi.FsStats {
	st, err := diskOf(dir)
	if err != nil {
		return nil
	}
	size := uint64(st.Bsize)
	available, capacity, used := st.Bavail*size, st.Blocks*size, (st.Blocks-st.Bfree)*size
	inodesFree, inodes, inodesUsed := st.Ffree, st.Files, st.Files-st.Ffree
	return &statsapi.FsStats{
		Time: at, AvailableBytes: &available, CapacityBytes: &capacity, UsedBytes: &used, InodesFree: &inodesFree, Inodes: &inodes, InodesUsed: &inodesUsed,
	}
}

// used is a part of a file system.
func used(of *statsapi.FsStats, bytes, files uint64) *statsapi.FsStats {
	if of == nil {
		return nil
	}
	out := *of
	out.UsedBytes, out.InodesUsed = &bytes, &files
	return &out
}

// csiDir has what is remembered of volumes of CSI drivers; they lie elsewhere.
const csiDir = "csi"

// claimDir has the volumes of a pod's claims. They outlive the pod, also where they lie on
// the same file system.
const claimDir = "claim"

// usedBelow is what files below a directory take on its file system, but for those in
// others. What is mounted there is others'; what goes meanwhile is not counted.
func usedBelow(dir string, others ...string) (bytes, files uint64) {
	var top unix.Stat_t
	if unix.Lstat(dir, &top) != nil {
		return 0, 0
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err != nil || unix.Lstat(path, &st) != nil {
			return nil //nolint:nilerr // it went
		}
		switch {
		case d.IsDir() && (st.Dev != top.Dev || slices.Contains(others, path)):
			return fs.SkipDir
		case st.Dev == top.Dev:
			bytes, files = bytes+uint64(st.Blocks)*512, files+1
		}
		return nil
	})
	return bytes, files
}
