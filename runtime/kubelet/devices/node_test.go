package devices

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// node is a server with a manager, which may be restarted.
type node struct {
	*Manager
	t    *testing.T
	cfg  Config
	told chan string // of changes; "" of the node
	stop func()
}

func newNode(t *testing.T) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "devices") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, told: make(chan string, 1000)}
	n.cfg = Config{
		Dir: filepath.Join(dir, "sockets"), Layout: poddir.Layout{Root: filepath.Join(dir, "root")}, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		NodeChanged: func() { n.told <- "" }, PodChanged: func(uid string) { n.told <- uid },
	}
	if err := n.cfg.Layout.Make(); err != nil {
		t.Fatal(err)
	}
	n.start()
	t.Cleanup(func() { n.stop(); os.RemoveAll(dir) })
	return n
}

func (n *node) start() {
	n.Manager = New(n.cfg)
	n.Load()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	patience.Eventually(n.t, "it listens", func() error {
		conn, err := net.Dial("unix", filepath.Join(n.cfg.Dir, socketName))
		if err == nil {
			conn.Close()
		}
		return err
	})
	n.stop = func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Error(err)
		}
	}
}

func (n *node) restart() { n.stop(); n.start() }

// wantNode waits until the node has that, capacity and allocatable.
func (n *node) wantNode(want string) {
	n.t.Helper()
	var got string
	for deadline := time.After(time.Minute); ; {
		capacity, allocatable := n.Resources()
		all, usable := capacity["example.com/dev"], allocatable["example.com/dev"]
		if got = fmt.Sprintf("%d of %d, %d", usable.Value(), all.Value(), len(capacity)); got == want {
			return
		}
		select {
		case <-n.told:
		case <-deadline:
			n.t.Fatalf("the node has %s, want %s", got, want)
		}
	}
}

// wantTold waits until it was told of a pod.
func (n *node) wantTold(uid string) {
	n.t.Helper()
	for deadline := time.After(time.Minute); ; {
		select {
		case got := <-n.told:
			if got == uid {
				return
			}
		case <-deadline:
			n.t.Fatalf("nobody was told of %s", uid)
		}
	}
}

// podOf asks for devices: "a:2 i!b:1 s+c:1" has a container, an init container and a
// sidecar.
func podOf(uid, containers string) *corev1.Pod {
	p := &corev1.Pod{}
	p.UID, p.Name = types.UID(uid), uid
	for _, word := range strings.Fields(containers) {
		name, count, _ := strings.Cut(word, ":")
		c := corev1.Container{Name: name[len(name)-1:], Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{
			"example.com/dev": resource.MustParse(count), "cpu": resource.MustParse("1"), "example.com/other": resource.MustParse("3"),
		}}}
		switch {
		case strings.HasPrefix(name, "s+"):
			c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
			fallthrough
		case strings.HasPrefix(name, "i!"):
			p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		default:
			p.Spec.Containers = append(p.Spec.Containers, c)
		}
	}
	return p
}

// admitted are the devices that a pod has after it asked, or why it was rejected.
func (n *node) admitted(p *corev1.Pod, others ...*corev1.Pod) string {
	if r := n.Admit(n.t.Context(), admit.Attributes{Pod: p, Others: others}); r != nil {
		if r.Reason != "UnexpectedAdmissionError" {
			n.t.Errorf("reason %s", r.Reason)
		}
		return r.Message
	}
	return n.devices(p)
}

func (n *node) devices(p *corev1.Pod) string {
	var out []string
	health := n.Health(string(p.UID))
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for _, c := range list {
			for _, s := range health[c.Name] {
				var ids []string
				for _, r := range s.Resources {
					ids = append(ids, string(r.ResourceID)+map[corev1.ResourceHealthStatus]string{"Healthy": "", "Unhealthy": "-", "Unknown": "?"}[r.Health])
				}
				out = append(out, c.Name+":"+strings.Join(ids, ","))
			}
		}
	}
	return strings.Join(out, " ")
}
