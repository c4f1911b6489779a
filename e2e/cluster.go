package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/examples/hello/manifest"
	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/lab/image"
)

// Names of the demo's application.
const (
	AppImage    = manifest.Image
	appNodePort = 30080
	app         = manifest.Name
)

// nodePort has the application answer on every node, too.
func nodePort(_ *appsv1.Deployment, s *corev1.Service) {
	s.Spec.Type, s.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, appNodePort
}

// Cluster is a running cluster as kubectl reaches it.
type Cluster struct {
	Lab        *lab.Lab
	Kubeconfig string
	context    string // of the kubeconfig; empty is its current one
	tools      Tools
	show       io.Writer
}

// Via is the same cluster, asked through one of its masters.
func (c *Cluster) Via(cluster, master string) *Cluster {
	via := *c
	via.context = cluster + "-" + master
	return &via
}

// NewCluster reaches the cluster by a kubeconfig. What kubectl prints is shown on
// show where that is not nil.
func NewCluster(tools Tools, l *lab.Lab, kubeconfig string, show io.Writer) *Cluster {
	return &Cluster{Lab: l, Kubeconfig: kubeconfig, tools: tools, show: show}
}

// Kubectl runs kubectl and returns its output.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	argv := append(slices.Clone(c.tools.Kubectl), "--kubeconfig", c.Kubeconfig)
	if c.context != "" {
		argv = append(argv, "--context", c.context)
	}
	return command(ctx, "", nil, nil, append(argv, args...)...)
}

// Show runs kubectl as a person would see it.
func (c *Cluster) Show(ctx context.Context, args ...string) error {
	if c.show != nil {
		fmt.Fprintf(c.show, "\n$ kubectl %s\n", strings.Join(args, " "))
	}
	out, err := c.Kubectl(ctx, args...)
	if c.show != nil {
		fmt.Fprint(c.show, out)
	}
	return err
}

// Pod is what the steps need of one.
type Pod struct {
	Name, Node, IP, UID string
	Ready               bool
	Restarts            int
}

// Pods lists the application's pods that are not being deleted.
func (c *Cluster) Pods(ctx context.Context) ([]Pod, error) {
	out, err := c.Kubectl(ctx, "get", "pods", "-l", "app="+app, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct {
				Name, UID         string
				DeletionTimestamp *string
			}
			Spec   struct{ NodeName string }
			Status struct {
				PodIP      string
				Conditions []struct{ Type, Status string }
				Containers []struct{ RestartCount int } `json:"containerStatuses"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	var pods []Pod
	for _, i := range list.Items {
		if i.Metadata.DeletionTimestamp != nil {
			continue
		}
		p := Pod{Name: i.Metadata.Name, Node: i.Spec.NodeName, IP: i.Status.PodIP, UID: i.Metadata.UID}
		for _, cond := range i.Status.Conditions {
			p.Ready = p.Ready || cond.Type == "Ready" && cond.Status == "True"
		}
		for _, s := range i.Status.Containers {
			p.Restarts += s.RestartCount
		}
		pods = append(pods, p)
	}
	return pods, nil
}

// Deploy imports the application's image on the nodes, creates it and waits until
// every replica is ready.
func (c *Cluster) Deploy(ctx context.Context, nodes ...string) error {
	if err := c.ImportImage(ctx, nodes...); err != nil {
		return err
	}
	hello, err := manifest.Hello(nodePort)
	if err != nil {
		return err
	}
	if err := soon(func(ctx context.Context) error { return c.Apply(ctx, hello) })(ctx); err != nil {
		return err
	}
	return c.Show(ctx, "rollout", "status", "deployment/"+app, "--timeout=270s")
}

// ImportImage brings the application's image to nodes.
func (c *Cluster) ImportImage(ctx context.Context, nodes ...string) error {
	return importProgram(ctx, c.Lab, nodes, AppImage, app, c.tools.Hello, image.Options{})
}

// asked is how often ServedByOwnNode asks from each node: where four of five answers stay
// there, all of so many would, or fewer than half, once in a million runs.
const asked = 60

// ServedByOwnNode asks the Service by its DNS name from one pod on each of the
// nodes: where half of the pods are on the asking pod's own node, most answers must come
// from there, and some from elsewhere as long as there are others.
func (c *Cluster) ServedByOwnNode(ctx context.Context, nodes ...string) error {
	pods, err := c.Pods(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		i := slices.IndexFunc(pods, func(p Pod) bool { return p.Node == node && p.Ready })
		if i < 0 {
			return fmt.Errorf("no ready pod of the application is on node %s: %v", node, pods)
		}
		url := "http://hello.default.svc.cluster.local"
		out, err := c.Kubectl(ctx, "exec", pods[i].Name, "--", "/hello", "get", "-n", strconv.Itoa(asked), url)
		if err != nil {
			return err
		}
		answers, own := strings.Count(out, "pod="), strings.Count(out, "node="+node+" ")
		if c.show != nil {
			fmt.Fprintf(c.show, "\n$ kubectl exec %s -- /hello get -n %d %s    # on node %s: %d answers are of this node\n", pods[i].Name, asked, url, node, own)
		}
		there, ready := 0, 0
		for _, p := range pods {
			if p.Ready {
				if ready++; p.Node == node {
					there++
				}
			}
		}
		if answers != asked || own == 0 || 2*there >= ready && own < asked/2 || there < ready && own == asked {
			return fmt.Errorf("asked %d times from node %s, %d of %d answers came from that node, which has %d of %d pods: most should, and some from the others\n%s", asked, node, own, answers, there, ready, out)
		}
	}
	return nil
}

// ClusterIP returns the Service's address.
func (c *Cluster) ClusterIP(ctx context.Context) (string, error) {
	return c.Kubectl(ctx, "get", "service", app, "-o", "jsonpath={.spec.clusterIP}")
}

// AnswersByClusterIP asks the Service's address from each of the nodes
// themselves (which have no default route).
func (c *Cluster) AnswersByClusterIP(ctx context.Context, nodes ...string) error {
	ip, err := c.ClusterIP(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		h, err := c.Lab.Host(n)
		if err != nil {
			return err
		}
		out, err := h.Run(ctx, fmt.Sprintf(`timeout 15 bash -c 'exec 3<>/dev/tcp/%s/80; printf "GET / HTTP/1.0\r\n\r\n" >&3; cat <&3'`, ip))
		if err != nil {
			return err
		}
		if !bytes.Contains(out, []byte("pod=hello-")) {
			return fmt.Errorf("the Service does not answer at %s on node %s:\n%s", ip, n, out)
		}
		c.showAnswer(fmt.Sprintf("GET http://%s on host %s", ip, n), out)
	}
	return nil
}

// AnswersByNodePort asks each host's node port from this machine.
func (c *Cluster) AnswersByNodePort(ctx context.Context, nodes ...string) error {
	client := &http.Client{Timeout: patience * 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, n := range nodes {
		h, err := c.Lab.Host(n)
		if err != nil {
			return err
		}
		url := fmt.Sprintf("http://%s:%d", h.Address, appNodePort)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("the Service does not answer by node port: %w", err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if !bytes.Contains(body, []byte("pod=hello-")) {
			return fmt.Errorf("%s answers: %s", url, body)
		}
		c.showAnswer("GET "+url+" from this machine", body)
	}
	return nil
}

func (c *Cluster) showAnswer(question string, answer []byte) {
	if c.show != nil {
		lines := strings.Split(strings.TrimSpace(string(answer)), "\n")
		fmt.Fprintf(c.show, "%s\n  %s\n", question, lines[len(lines)-1])
	}
}

// Apply applies a manifest.
func (c *Cluster) Apply(ctx context.Context, manifest string) error {
	file, err := os.CreateTemp("", "manifest-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(manifest); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return c.Show(ctx, "apply", "-f", file.Name())
}
