//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// hostPorts reaches a pod of the host's network, and one by a port of its host.
func hostPorts(ctx context.Context, p *pods) error {
	err := p.apply(ctx, `
apiVersion: v1
kind: Pod
metadata: {name: on-host, namespace: pods}
spec:
  nodeName: worker-1
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: IMAGE, args: [serve, "8099"], env: [{name: POD_NAME, value: on-host}]}
  - {name: files, image: IMAGE, args: [cat, /etc/resolv.conf, /etc/hostname]}
---
apiVersion: v1
kind: Pod
metadata: {name: by-port, namespace: pods}
spec:
  nodeName: worker-1
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: IMAGE, args: [serve], ports: [{containerPort: 8080, hostPort: 8098}], env: [{name: POD_NAME, value: by-port}]}
`)
	if err != nil {
		return err
	}
	h, err := p.Lab.Host("worker-1")
	if err != nil {
		return err
	}
	for port, pod := range map[string]string{"8099": "on-host", "8098": "by-port"} {
		err := Eventually(ctx, 15*time.Second, func(ctx context.Context) error {
			body, err := fetch(ctx, "http://"+h.Address+":"+port)
			if err == nil && !strings.Contains(body, "pod="+pod) {
				err = fmt.Errorf("port %s answers %q", port, body)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	err = Eventually(ctx, 20*time.Second, func(ctx context.Context) error {
		out, err := p.log(ctx, "on-host", "files")
		if err != nil || !strings.Contains(out, "search pods.svc.cluster.local") || !strings.Contains(out, "worker-1\n") {
			return fmt.Errorf("files of a pod on the host's network: %q, %v", out, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// The other node's pods reach the port too, and it is closed with the pod.
	if _, err := p.kubectl(ctx, "delete", "pod", "by-port"); err != nil {
		return err
	}
	if body, err := fetch(ctx, "http://"+h.Address+":8098"); err == nil {
		return fmt.Errorf("the host port of a deleted pod answers %q", body)
	}
	return nil
}

func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience*2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// acrossNodes asks each worker's pod from the other's: the source address must be
// the asking pod's own.
func acrossNodes(ctx context.Context, p *pods) error {
	if err := p.nodePods(ctx); err != nil {
		return err
	}
	return soon(p.reachEachOther)(ctx)
}

func (p *pods) reachEachOther(ctx context.Context) error {
	ips := map[string]string{}
	for _, n := range p.Workers {
		pod, err := p.get(ctx, "at-"+n)
		if err != nil {
			return err
		}
		ips[n] = pod.Status.PodIP
	}
	for _, from := range p.Workers {
		for _, to := range p.Workers {
			out, err := p.kubectl(ctx, "exec", "at-"+from, "--", "/hello", "get", "http://"+ips[to]+":8080/")
			if err != nil {
				return fmt.Errorf("from a pod on %s to one on %s: %w", from, to, err)
			}
			if !strings.Contains(out, "client="+ips[from]+"\n") {
				return fmt.Errorf("from %s on %s to %s the answer is %q", ips[from], from, to, out)
			}
		}
	}
	return nil
}

// tunnel gives the two workers addresses that share no prefix, so that they reach
// each other's pods through VXLAN only.
func tunnel(ctx context.Context, p *pods) error {
	if err := p.nodePods(ctx); err != nil {
		return err
	}
	// A /32 and a route by the lab's bridge: the address stays, its neighbours are
	// no longer on the link.
	for _, n := range p.Nodes() {
		h, err := p.Lab.Host(n)
		if err != nil {
			return err
		}
		script := fmt.Sprintf("ip route replace %[1]s.0/24 dev host0 && ip addr add %[2]s/32 dev host0 && ip addr del %[2]s/24 dev host0 && ip route replace %[1]s.0/24 dev host0 src %[2]s && systemctl restart gantry-kubelet",
			h.Address[:strings.LastIndex(h.Address, ".")], h.Address)
		if _, err := h.Run(ctx, script); err != nil {
			return err
		}
	}
	defer func() {
		for _, n := range p.Nodes() {
			if h, err := p.Lab.Host(n); err == nil {
				h.Run(context.WithoutCancel(ctx), fmt.Sprintf("ip addr add %[1]s/24 dev host0; ip addr del %[1]s/32 dev host0; systemctl restart gantry-kubelet", h.Address)) //nolint:errcheck // the lab is stopped next
			}
		}
	}()
	h, err := p.Lab.Host("worker-1")
	if err != nil {
		return err
	}
	err = Eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		out, err := h.Run(ctx, "ip route; ip neigh show dev "+config.VXLANLink)
		if err == nil && (strings.Count(string(out), "dev "+config.VXLANLink) < 2 || strings.Count(string(out), "PERMANENT") < 2) {
			err = errors.New("no tunnel yet:\n" + string(out))
		}
		return err
	})
	if err != nil {
		return err
	}
	return acrossNodes(ctx, p)
}
