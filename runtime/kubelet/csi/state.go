package csi

import (
	"maps"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

// abandoned has a volume unstaged if no pod has it. It is called with mu held.
func (v *state) abandoned(k key) {
	if _, ok := v.staged[k]; ok && len(v.users(k)) == 0 {
		v.orphans.Add(k)
	}
}

// users are the directories of the pods' records of a volume. It is called with mu held.
func (v *state) users(k key) (dirs []string) {
	for dir, r := range v.published {
		if r.key() == k {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// InUse are the volumes that must stay attached to the node, in order: those that are
// mounted, may be, or are about to be.
func (v *state) InUse() []corev1.UniqueVolumeName {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := map[key]bool{}
	for _, w := range v.waiting {
		all[w.key] = true
	}
	for _, r := range v.published {
		if r.Attach {
			all[r.key()] = true
		}
	}
	for k, s := range v.staged {
		if s.Attach {
			all[k] = true
		}
	}
	var out []corev1.UniqueVolumeName
	for _, k := range slices.Sorted(maps.Keys(all)) {
		out = append(out, corev1.UniqueVolumeName(k))
	}
	return out
}

// NodeSeen looks at a state of the node, for which pods wait.
func (v *state) NodeSeen(*corev1.Node) {
	v.mu.Lock()
	var wake []func()
	for _, w := range v.waiting {
		wake = append(wake, w.changed)
	}
	v.mu.Unlock()
	for _, changed := range wake {
		changed()
	}
}

// Release forgets what a pod waits for.
func (v *state) Release(uid string) {
	v.mu.Lock()
	n := len(v.waiting)
	maps.DeleteFunc(v.waiting, func(_ string, w *waiter) bool { return w.uid == uid })
	changed := len(v.waiting) < n
	v.mu.Unlock()
	if changed {
		v.cfg.NodeChanged()
	}
}

// Mounted is a volume as containers can have it.
type Mounted struct {
	Path     string
	ReadOnly bool
	// Block: Path is a device.
	Block bool
}

// Mounted is what lies at the directory of a record, if it was published.
func (v *state) Mounted(dir string) (Mounted, bool) {
	v.mu.Lock()
	r, ok := v.published[dir]
	v.mu.Unlock()
	return Mounted{Path: r.Target, ReadOnly: r.ReadOnly, Block: r.Block}, ok && r.Published && v.mounted(r)
}

// Known says whether the volume of a directory is a driver's.
func (v *state) Known(dir string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.published[dir]
	return ok
}

// mounted says whether a volume is mounted, which none is after the server was started anew.
func (v *state) mounted(r publishRecord) bool {
	points, err := v.cfg.Mounts.Below(r.Target)
	return err == nil && slices.Contains(points, r.Target)
}

func (v *state) setPublished(dir string, r publishRecord) error {
	if err := v.store.save(filepath.Join(dir, recordName), r); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.published[dir] = r
	return nil
}

func (v *state) setStaged(r stageRecord) error {
	if err := v.store.save(v.store.stagePath(r.key()), r); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.staged[r.key()] = r
	return nil
}

// attachRequired says whether a driver's volumes are attached before they are mounted. Those
// of a driver that nobody told of are.
func attachRequired(d *storagev1.CSIDriver) bool {
	return d == nil || d.Spec.AttachRequired == nil || *d.Spec.AttachRequired
}
