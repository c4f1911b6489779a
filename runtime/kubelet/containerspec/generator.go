package containerspec

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/mount"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
	"github.com/gantry-run/gantry/runtime/kubelet/podfiles"
)

// Objects reads the ConfigMaps and Secrets of the API.
type Objects interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Volumes opens volumes that are set up.
type Volumes interface {
	Open(pod *corev1.Pod, name string) (container.Volume, error)
	// Device is the path of a volume that is a device, which leads to nothing else.
	Device(pod *corev1.Pod, name string) (path string, readOnly bool, err error)
}

// Binds mounts opened files and directories for a container that is to be started.
type Binds interface {
	// Bind mounts what f is as the number-th volume of a container, at a path that
	// only root reaches.
	Bind(f *os.File, uid, container string, number int, t mount.Tree) (string, error)
	// Release unmounts those of a container.
	Release(uid, container string) error
	// ReleasePod unmounts those of all containers of a pod.
	ReleasePod(uid string) error
}

// Cgroups gives containers their cgroup and its values.
type Cgroups interface {
	Container(pod *corev1.Pod, c *corev1.Container, id string) container.Resources
}

// Devices are those that containers were given.
type Devices interface {
	// Edits are what a container needs for them, which is made ready.
	Edits(ctx context.Context, pod *corev1.Pod, c *corev1.Container) ([]container.Edits, error)
}

// Generator makes the specs of this node's containers.
type Generator struct {
	NodeName string
	// ClusterDomain is that of the cluster's DNS.
	ClusterDomain string
	Allocatable   corev1.ResourceList
	Layout        poddir.Layout
	Objects       Objects
	Services      corelisters.ServiceLister
	Volumes       Volumes
	Binds         Binds
	Cgroups       Cgroups
	Devices       Devices
	Features      container.Features
	// SeccompDefault confines containers that name no seccomp profile.
	SeccompDefault bool
}

// Incarnation is the one container that a spec is for.
type Incarnation struct {
	Pod *corev1.Pod
	// Status holds the pod's addresses, for the downward API.
	Status    *corev1.PodStatus
	Container *corev1.Container
	Image     container.Image
	Sandbox   container.Sandbox
	Restarts  int32
	Backoff   time.Duration
}

// Generate makes the spec, and on the disk what its mounts need, until Release.
func (g *Generator) Generate(ctx context.Context, in Incarnation) (container.Spec, error) {
	pod, c, uid := in.Pod, in.Container, string(in.Pod.UID)
	src, err := g.fetch(ctx, pod, c)
	if err != nil {
		return container.Spec{}, err
	}
	env, err := environment(pod, c, in.Status, g.Allocatable, src)
	if err != nil {
		return container.Spec{}, err
	}
	ref := container.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: uid}
	id := container.ID(uid, in.Sandbox.Incarnation(), c.Name, in.Restarts)
	hostname, err := podfiles.KernelHostname(pod, g.NodeName, g.ClusterDomain)
	if err != nil {
		return container.Spec{}, err
	}
	s := container.Spec{
		Container: container.Container{
			ID: id, Pod: ref, Name: c.Name, Sandbox: in.Sandbox.Incarnation(), Restarts: in.Restarts, Backoff: in.Backoff,
			SpecHash: container.SpecHash(c), Actuated: container.ComputeOf(c.Resources),
			Image: c.Image, ImageID: in.Image.ID, LogPath: g.Layout.ContainerLog(ref, c.Name, in.Restarts),
		},
		ShimGroup: uid, Handler: in.Sandbox.Handler, ResolvedImage: in.Image.Name,
		Command: expandAll(c.Command, env), Args: expandAll(c.Args, env),
		Env:        env,
		WorkingDir: c.WorkingDir, TTY: c.TTY, Stdin: c.Stdin, StdinOnce: c.StdinOnce,
		Hostname: hostname, Namespaces: in.Sandbox.Namespaces, Users: in.Sandbox.Users,
		MessageFromLog: c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError,
		Resources:      g.Cgroups.Container(pod, c, id),
		Security:       g.security(pod, c),
	}
	if s.Security.RequireNonRoot && isRoot(in.Image.User) && (s.Security.User == nil || *s.Security.User == 0) {
		return container.Spec{}, fmt.Errorf("container has runAsNonRoot and image will run as root (pod: %q, container: %s)", pod.Name+"_"+pod.Namespace+"("+uid+")", c.Name)
	}
	if sc := pod.Spec.SecurityContext; sc != nil && len(sc.Sysctls) > 0 {
		s.Sysctls = map[string]string{}
		for _, y := range sc.Sysctls {
			s.Sysctls[y.Name] = y.Value
		}
	}
	if err := g.addMounts(pod, c, in.Sandbox, &s); err != nil {
		return container.Spec{}, err
	}
	if err := g.addDevices(pod, c, &s); err != nil {
		return container.Spec{}, err
	}
	edits, err := g.Devices.Edits(ctx, pod, c)
	if err != nil {
		return container.Spec{}, err
	}
	// A container sees its host name and what its devices add in its environment; a variable
	// of the pod's own comes later and wins. What the pod's fields refer to does not have them.
	s.Env = slices.Concat([]string{"HOSTNAME=" + hostname}, applyEdits(&s, edits), env)
	return s, nil
}

// Release takes away what a spec needed until its container was started, or could not be.
func (g *Generator) Release(pod *corev1.Pod, container string) error {
	return g.Binds.Release(string(pod.UID), container)
}

// ReleasePod takes away what the specs of all containers of a pod needed.
func (g *Generator) ReleasePod(uid string) error { return g.Binds.ReleasePod(uid) }

func isRoot(user *int64) bool { return user != nil && *user == 0 }
