// Package poddir says where on the disk the files of a pod are. The paths outlive
// this process and its version: a later one finds the pods of an earlier by them.
// It may import runtime/kubelet/container.
package poddir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Layout is where the kubelet keeps the files of pods.
type Layout struct {
	Root string // below it pods/<uid>
	Logs string // below it <namespace>_<name>_<uid>
}

// Pod is the directory of a pod's files: volumes, termination messages, /etc/hosts.
func (l Layout) Pod(uid string) string { return filepath.Join(l.Root, "pods", uid) }

// Volumes is the directory of a pod's volumes: <plugin>/<volume name> below it.
func (l Layout) Volumes(uid string) string { return filepath.Join(l.Pod(uid), "volumes") }

// Allocation is the file of what a pod was given of the node.
func (l Layout) Allocation(uid string) string { return filepath.Join(l.Pod(uid), "allocation.json") }

// TerminationMessage is the file in which an incarnation of a container may say why
// it ended.
func (l Layout) TerminationMessage(uid, name string, restarts int32) string {
	return filepath.Join(l.Pod(uid), "termination", fmt.Sprintf("%s-%d", name, restarts))
}

// SeccompProfile is the file of a Localhost profile; a name cannot lead out of the
// profiles' directory.
func (l Layout) SeccompProfile(name string) string {
	return filepath.Join(l.Root, "seccomp", filepath.Clean("/"+name))
}

// PodLogs is the directory of a pod's logs.
func (l Layout) PodLogs(p container.PodRef) string {
	return filepath.Join(l.Logs, p.Namespace+"_"+p.Name+"_"+p.UID)
}

// ContainerLog is the log of one incarnation of a container.
func (l Layout) ContainerLog(p container.PodRef, name string, restarts int32) string {
	return filepath.Join(l.PodLogs(p), name, fmt.Sprintf("%d.log", restarts))
}

// Make makes the directory of all pods.
func (l Layout) Make() error {
	if err := os.MkdirAll(filepath.Join(l.Root, "pods"), 0o750); err != nil {
		return fmt.Errorf("make the pods' directory: %w", err)
	}
	return nil
}

// UIDs are those of the pods that have a directory.
func (l Layout) UIDs() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(l.Root, "pods"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	uids := make([]string, 0, len(entries))
	for _, e := range entries {
		uids = append(uids, e.Name())
	}
	return uids, err
}
