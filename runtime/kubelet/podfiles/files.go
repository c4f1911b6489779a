package podfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// Names of the files in a pod's directory, by where containers see them.
var atContainer = map[string]string{"/etc/hosts": "etc-hosts", "/etc/hostname": "hostname", "/etc/resolv.conf": "resolv.conf"}

// Files writes them.
type Files struct {
	Layout        poddir.Layout
	NodeName      string
	ClusterDNS    []string
	ClusterDomain string
	// HostResolv and HostHosts are the server's own files. HostResolved is that of
	// systemd-resolved, where it runs: it has the resolvers for which the stub in
	// HostResolv stands, and pods do without it where it cannot be read. They are read for
	// each pod anew, for they change.
	HostResolv, HostResolved, HostHosts string
	// Warn is told what is not right with the files of a pod that were written; may be nil.
	Warn func(pod *corev1.Pod, message string)
}

// Write writes the files of a pod with those addresses.
func (f Files) Write(pod *corev1.Pod, ips []string) error {
	resolv, err := readIfThere(f.HostResolv)
	if err != nil {
		return err
	}
	resolved, unread := readIfThere(f.HostResolved)
	hosts, err := readIfThere(f.HostHosts)
	if err != nil {
		return err
	}
	name, err := KernelHostname(pod, f.NodeName, f.ClusterDomain)
	if err != nil {
		return err
	}
	etc := parseResolver(resolv)
	if unread != nil && needsResolved(pod, etc) {
		f.warn(pod, fmt.Sprintf("The resolvers of systemd-resolved could not be read, and the node has no others that pods can reach: %v", unread))
	}
	dns := podResolver(pod, f.ClusterDNS, f.ClusterDomain, hostResolver(pod, etc, parseResolver(resolved)))
	for at, content := range map[string]string{
		"/etc/hosts":       hostsFile(pod, ips, Hostname(pod, f.NodeName), f.ClusterDomain, hosts),
		"/etc/hostname":    name + "\n",
		"/etc/resolv.conf": dns.String(),
	} {
		file := filepath.Join(f.Layout.Pod(string(pod.UID)), atContainer[at])
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return fmt.Errorf("write %s of pod %s/%s: %w", at, pod.Namespace, pod.Name, err)
		}
	}
	if why := unserved(f.HostResolv+" or "+f.HostResolved, dns, etc); why != "" {
		f.warn(pod, why)
	}
	return nil
}

func (f Files) warn(pod *corev1.Pod, message string) {
	if f.Warn != nil {
		f.Warn(pod, message)
	}
}

// Paths are the files of a pod by where containers see them.
func Paths(layout poddir.Layout, uid string) map[string]string {
	out := make(map[string]string, len(atContainer))
	for at, file := range atContainer {
		out[at] = filepath.Join(layout.Pod(uid), file)
	}
	return out
}

func readIfThere(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}
