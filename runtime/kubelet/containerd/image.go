package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	dockerconfig "github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/singleflight"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Normalize gives a name as people write it ("nginx") its full form
// ("docker.io/library/nginx:latest"), which is its name in the store.
func Normalize(name string) (string, error) {
	ref, err := reference.ParseDockerRef(name)
	if err != nil {
		return "", fmt.Errorf("%q is %w: %v", name, container.ErrInvalidImageName, err)
	}
	return ref.String(), nil
}

// imageStore is the part of the adapter that keeps images.
type imageStore struct {
	cl         *containerd.Client
	registries string             // directory of hosts.toml files
	pulling    singleflight.Group // by image name
	mu         sync.Mutex
	configs    map[string]ocispec.ImageConfig // by manifest digest
}

// Image returns an image by the name that a pod uses, and whether it is present.
func (s *imageStore) Image(ctx context.Context, name string) (container.Image, bool, error) {
	ctx = withNamespace(ctx)
	full, err := Normalize(name)
	if err != nil {
		return container.Image{}, false, err
	}
	img, err := s.cl.GetImage(ctx, full)
	if errdefs.IsNotFound(err) {
		return container.Image{}, false, nil
	}
	if err != nil {
		return container.Image{}, false, fmt.Errorf("look for image %s: %w", full, away(err))
	}
	if ok, err := img.IsUnpacked(ctx, snapshotter); err != nil {
		return container.Image{}, false, fmt.Errorf("look for image %s: %w", full, err)
	} else if !ok {
		if err := img.Unpack(ctx, snapshotter); err != nil {
			return container.Image{}, false, fmt.Errorf("unpack image %s: %w", full, err)
		}
	}
	out, err := s.describe(ctx, img)
	return out, err == nil, err
}

func (s *imageStore) describe(ctx context.Context, img containerd.Image) (container.Image, error) {
	cfg, err := s.imageConfig(ctx, img)
	if err != nil {
		return container.Image{}, fmt.Errorf("read the configuration of image %s: %w", img.Name(), err)
	}
	digest := img.Target().Digest.String()
	out := container.Image{Name: img.Name(), ID: digest, Names: []string{img.Name()}, StopSignal: cfg.StopSignal}
	if named, err := reference.ParseNormalizedNamed(img.Name()); err == nil {
		out.ID = named.Name() + "@" + digest
		if !slices.Contains(out.Names, out.ID) {
			out.Names = append(out.Names, out.ID)
		}
	}
	user, _, _ := strings.Cut(cfg.User, ":")
	if user == "" {
		user = "0"
	}
	if uid, err := strconv.ParseInt(user, 10, 64); err == nil {
		out.User = &uid
	}
	return out, nil
}

// Images lists the store. What cannot be read (a half-fetched image) is left out.
func (s *imageStore) Images(ctx context.Context) ([]container.Image, error) {
	ctx = withNamespace(ctx)
	all, err := s.cl.ListImages(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the images: %w", err)
	}
	var out []container.Image
	for _, img := range all {
		d, err := s.describe(ctx, img)
		if err != nil {
			continue
		}
		if d.Size, err = img.Size(ctx); err != nil {
			continue
		}
		out = append(out, d)
	}
	return out, nil
}

// Pull fetches and unpacks an image. Pods that want the same one at the same time
// wait for one pull.
func (s *imageStore) Pull(ctx context.Context, name string, auth []container.RegistryAuth) (container.Image, error) {
	ctx = withNamespace(ctx)
	full, err := Normalize(name)
	if err != nil {
		return container.Image{}, err
	}
	credentials := func(host string) (string, string, error) {
		for _, c := range auth {
			if c.Host != host && !(c.Host == "docker.io" && strings.HasSuffix(host, ".docker.io")) {
				continue
			}
			if c.Token != "" {
				return "", c.Token, nil // an identity token goes without a user name
			}
			return c.Username, c.Password, nil
		}
		return "", "", nil
	}
	hosts := dockerconfig.ConfigureHosts(ctx, dockerconfig.HostOptions{
		HostDir:      dockerconfig.HostDirFromRoot(s.registries),
		Credentials:  credentials,
		UpdateClient: noticesSilence,
	})
	key := fmt.Sprint(full, auth) // other credentials may see other images
	v, err, _ := s.pulling.Do(key, func() (any, error) {
		return s.cl.Pull(ctx, full, containerd.WithPullUnpack, containerd.WithPullSnapshotter(snapshotter),
			containerd.WithResolver(docker.NewResolver(docker.ResolverOptions{Hosts: hosts})))
	})
	if err != nil {
		return container.Image{}, fmt.Errorf("pull image %s: %w", full, err)
	}
	return s.describe(ctx, v.(containerd.Image))
}

// noticesSilence has a client see within twenty seconds that a registry is gone: one that
// lost power in the middle of a layer says nothing, and by itself the client would listen
// for minutes.
func noticesSilence(c *http.Client) error {
	t, ok := c.Transport.(*http.Transport)
	if !ok || t.DialContext == nil {
		return fmt.Errorf("the client of registries (%T) dials by itself: its connections cannot be watched", c.Transport)
	}
	dial := t.DialContext // with the timeout that the registry's configuration gives it
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			err = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3})
		}
		return conn, err
	}
	return nil
}

// RemoveImage takes an image's name out of the store; what no other name refers to is
// collected. An image that is not there is no error.
func (s *imageStore) RemoveImage(ctx context.Context, name string) error {
	err := s.cl.ImageService().Delete(withNamespace(ctx), name)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove image %s: %w", name, away(err))
	}
	return nil
}

// Import stores the images of an OCI layout or Docker archive and unpacks them,
// so that pods start from them at once. It returns their names.
func (s *imageStore) Import(ctx context.Context, archive io.Reader) ([]string, error) {
	ctx = withNamespace(ctx)
	imported, err := s.cl.Import(ctx, archive, containerd.WithImageRefTranslator(func(ref string) string {
		if full, err := Normalize(ref); err == nil {
			return full
		}
		return ref
	}))
	if err != nil {
		return nil, fmt.Errorf("import the archive: %w", err)
	}
	var names []string
	for _, i := range imported {
		if full, err := Normalize(i.Name); err == nil && full != i.Name {
			short := i.Name
			i.Name = full
			if _, err := s.cl.ImageService().Create(ctx, i); errdefs.IsAlreadyExists(err) {
				_, err = s.cl.ImageService().Update(ctx, i, "target")
				if err != nil {
					return names, fmt.Errorf("name image %s: %w", full, err)
				}
			} else if err != nil {
				return names, fmt.Errorf("name image %s: %w", full, err)
			}
			if err := s.cl.ImageService().Delete(ctx, short); err != nil && !errdefs.IsNotFound(err) {
				return names, fmt.Errorf("rename image %s: %w", short, err)
			}
		}
		if err := containerd.NewImage(s.cl, i).Unpack(ctx, snapshotter); err != nil {
			return names, fmt.Errorf("unpack image %s: %w", i.Name, err)
		}
		names = append(names, i.Name)
	}
	return names, nil
}

// imageConfig reads an image's configuration, once per image.
func (s *imageStore) imageConfig(ctx context.Context, img containerd.Image) (ocispec.ImageConfig, error) {
	key := img.Target().Digest.String()
	s.mu.Lock()
	cfg, ok := s.configs[key]
	s.mu.Unlock()
	if ok {
		return cfg, nil
	}
	desc, err := img.Config(ctx)
	if err != nil {
		return cfg, err
	}
	data, err := content.ReadBlob(ctx, s.cl.ContentStore(), desc)
	if err != nil {
		return cfg, err
	}
	var full ocispec.Image
	if err := json.Unmarshal(data, &full); err != nil {
		return cfg, err
	}
	s.mu.Lock()
	s.configs[key] = full.Config
	s.mu.Unlock()
	return full.Config, nil
}
