//go:build lab

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/lab/image"
)

// registry serves one image, under every name; names that begin with private/
// take a user and password.
type registry struct {
	manifest []byte
	blobs    map[string][]byte // by digest
}

const registryUser, registryPassword = "puller", "pull secret"

func newRegistry(program []byte) (*registry, error) {
	var archive bytes.Buffer
	if err := image.Write(&archive, "x:1", "hello", program); err != nil {
		return nil, err
	}
	r := &registry{blobs: map[string][]byte{}}
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
	}
	var config, layer descriptor
	for in := tar.NewReader(&archive); ; {
		h, err := in.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		d := descriptor{"application/vnd.oci.image.layer.v1.tar", fmt.Sprintf("sha256:%x", sha256.Sum256(data)), len(data)}
		switch {
		case h.Name == "layer.tar":
			layer = d
		case h.Name != "manifest.json":
			d.MediaType = "application/vnd.oci.image.config.v1+json"
			config = d
		}
		r.blobs[d.Digest] = data
	}
	var err error
	r.manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": []descriptor{layer},
	})
	return r, err
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	user, password, _ := req.BasicAuth()
	if strings.HasPrefix(req.URL.Path, "/v2/private/") && (user != registryUser || password != registryPassword) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, digest, isBlob := strings.Cut(req.URL.Path, "/blobs/")
	switch blob, ok := r.blobs[digest]; {
	case isBlob && ok:
		w.Write(blob) //nolint:errcheck // the client went
	case strings.Contains(req.URL.Path, "/manifests/"):
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", sha256.Sum256(r.manifest)))
		w.Write(r.manifest) //nolint:errcheck // the client went
	default:
		http.NotFound(w, req)
	}
}

// registryPull serves an image on the lab's network, over plain HTTP, which the
// node is told by a hosts.toml.
func registryPull(ctx context.Context, p *pods) error {
	program, err := os.ReadFile(p.tools.Hello)
	if err != nil {
		return err
	}
	handler, err := newRegistry(program)
	if err != nil {
		return err
	}
	h, err := p.Lab.Host("worker-1")
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", h.Address[:strings.LastIndex(h.Address, ".")]+".1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler} //nolint:gosec // of a test
	go srv.Serve(ln)                      //nolint:errcheck // closed below
	defer srv.Close()
	host := ln.Addr().String()
	hosts := fmt.Sprintf("[host.\"http://%s\"]\ncapabilities = [\"pull\", \"resolve\"]\n", host)
	if _, err := ssh(ctx, p.Lab, "worker-1", []byte(hosts), "mkdir -p '/etc/gantry/registries/"+host+"' && cat > '/etc/gantry/registries/"+host+"/hosts.toml'"); err != nil {
		return err
	}
	if _, err := p.kubectl(ctx, "create", "secret", "docker-registry", "puller", "--docker-server="+host, "--docker-username="+registryUser, "--docker-password="+registryPassword); err != nil {
		return err
	}
	var all strings.Builder
	for name, extra := range map[string]string{"open": "", "denied": "", "private": "imagePullSecrets: [{name: puller}]"} {
		path := map[string]string{"open": "open/hello:1", "denied": "private/hello:2", "private": "private/hello:1"}[name]
		fmt.Fprintf(&all, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: pull-%s, namespace: pods}\nspec:\n  nodeName: worker-1\n  terminationGracePeriodSeconds: 1\n  %s\n  containers:\n  - {name: c, image: %q, args: [sleep]}\n", name, extra, host+"/"+path)
	}
	if err := p.apply(ctx, all.String()); err != nil {
		return err
	}
	for _, name := range []string{"pull-open", "pull-private"} {
		if err := p.until(ctx, name, podReady); err != nil {
			return err
		}
	}
	return p.until(ctx, "pull-denied", func(pod *corev1.Pod) bool {
		s := pod.Status.ContainerStatuses
		return len(s) == 1 && s[0].State.Waiting != nil && strings.Contains(s[0].State.Waiting.Message, "authorization failed")
	})
}
