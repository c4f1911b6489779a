package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Packages are those of the root file system beside the essential ones: what the
// Dockerfiles of the suite's images install. Two shells are static, for the image
// that has no libraries.
var Packages = []string{
	"bash-static", "bind9-dnsutils", "busybox-static", "ca-certificates", "curl", "iperf", "iproute2",
	"iputils-ping", "net-tools", "netbase", "netcat-openbsd", "nginx", "procps", "socat", "util-linux", "wget",
}

// Sources are what images are made from.
type Sources struct {
	// Root is an archive of a root file system with Packages.
	Root string
	// Programs is the directory of the suite's programs.
	Programs string
	// Module is the directory of the module k8s.io/kubernetes.
	Module string
	// Pause is a static program that waits for its end when told to sleep.
	Pause string
}

// Repositories of the images that the suite names.
const (
	// Host is the registry that all are in.
	Host = "registry.k8s.io"
	e2e  = "e2e-test-images/"
)

const paths = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// builder collects images and keeps the first error.
type builder struct {
	ctx    context.Context
	from   Sources
	root   root
	images map[string]v1.Image // by repository and tag
	err    error
}

// Build makes all images, by repository and tag below Host.
func Build(ctx context.Context, from Sources) (map[string]v1.Image, error) {
	r, err := readRoot(from.Root, "bin/busybox", "bin/bash-static", "etc/passwd", "etc/group")
	if err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, from: from, root: r, images: map[string]v1.Image{}}
	b.agnhost()
	b.busybox()
	b.nginx()
	b.programs()
	return b.images, b.err
}

// agnhost is the suite's tool of many commands, and the images that are made of it.
func (b *builder) agnhost() {
	porter := filepath.Join(b.from.Module, "test/images/agnhost/porter")
	own := b.files(
		file{name: "agnhost", mode: 0o755, data: b.program("agnhost")}, file{name: "agnhost-2", mode: 0o777, target: "agnhost"},
		file{name: "uploads", mode: 0o755},
		file{name: "localhost.crt", mode: 0o644, data: b.read(filepath.Join(porter, "localhost.crt"))},
		file{name: "localhost.key", mode: 0o644, data: b.read(filepath.Join(porter, "localhost.key"))},
		// What the image's Dockerfile adds.
		file{name: "etc/passwd", mode: 0o644, data: append(b.root.files["etc/passwd"], "user-defined-in-image:x:1000:1000::/home/user-defined-in-image:/bin/sh\n"...)},
		file{name: "etc/group", mode: 0o644, data: append(b.root.files["etc/group"], "user-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\n"...)},
	)
	config := v1.Config{Entrypoint: []string{"/agnhost"}, Cmd: []string{"pause"}}
	for _, tag := range []string{"2.66.1", "2.55"} {
		b.image(e2e+"agnhost:"+tag, config, b.root.layer, own)
	}
	b.image(e2e+"nonroot:1.5", v1.Config{Entrypoint: config.Entrypoint, Cmd: config.Cmd, User: "1234"}, b.root.layer, own)
	for _, name := range []string{"kitten", "nautilus"} {
		html := filepath.Join(b.from.Module, "test/images", name, "html")
		pages := b.files(
			// By which the suite tells the image where it is a volume.
			file{name: "etc/os-release", mode: 0o644, data: []byte("NAME=\"Alpine Linux\"\n")},
			file{name: name + ".jpg", mode: 0o644, data: b.read(filepath.Join(html, name+".jpg"))},
			file{name: "data.json", mode: 0o644, data: b.read(filepath.Join(html, "data.json"))},
		)
		b.image(e2e+name+":1.8", v1.Config{Entrypoint: config.Entrypoint, Cmd: []string{"test-webserver"}}, b.root.layer, own, pages)
	}
	for _, name := range []string{"ipc-utils:1.4", "glibc-dns-testing:2.1.1"} {
		b.image(e2e+name, v1.Config{}, b.root.layer)
	}
}

// busybox has a shell of its own, package shell says why.
func (b *builder) busybox() {
	binary := b.root.files["bin/busybox"]
	files := []file{
		{name: "bin", mode: 0o755}, {name: "dev", mode: 0o755}, {name: "etc", mode: 0o755}, {name: "home", mode: 0o755}, {name: "root", mode: 0o700},
		{name: "tmp", mode: 0o1777}, {name: "usr", mode: 0o755}, {name: "usr/bin", mode: 0o755}, {name: "var", mode: 0o755},
		{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")},
		{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnobody:x:65534:\n")},
		{name: "bin/busybox", mode: 0o755, data: binary}, {name: "bin/bash", mode: 0o755, data: b.root.files["bin/bash-static"]},
		{name: "bin/sh", mode: 0o755, data: b.program("shell")},
		{name: "usr/bin/env", mode: 0o777, target: "/bin/busybox"},
	}
	for _, applet := range b.applets(binary) {
		if applet != "busybox" && applet != "sh" && applet != "bash" {
			files = append(files, file{name: "bin/" + applet, mode: 0o777, target: "busybox"})
		}
	}
	b.image(e2e+"busybox:1.37.0-2", v1.Config{Cmd: []string{"sh"}}, b.files(files...))
}

// applets are the commands that a busybox has.
func (b *builder) applets(binary []byte) []string {
	if b.err != nil {
		return nil
	}
	path := filepath.Join(filepath.Dir(b.from.Root), "busybox")
	if b.err = os.WriteFile(path, binary, 0o755); b.err != nil { //nolint:gosec // it is run
		return nil
	}
	out, err := exec.CommandContext(b.ctx, path, "--list").Output()
	if err != nil {
		b.err = fmt.Errorf("%s --list: %w", path, err)
	}
	return strings.Fields(string(out))
}

func (b *builder) nginx() {
	site := file{name: "etc/nginx/sites-enabled/default", mode: 0o644,
		data: []byte("server { listen 80 default_server; root /usr/share/nginx/html; index index.html; }\n")}
	for _, tag := range []string{"1.27.0-2", "1.28.0-2"} {
		own := b.files(site, file{name: "release", mode: 0o644, data: []byte(tag + "\n")})
		b.image(e2e+"nginx:"+tag, v1.Config{Cmd: []string{"nginx", "-g", "daemon off;"}, ExposedPorts: map[string]struct{}{"80/tcp": {}}, StopSignal: "SIGQUIT"}, b.root.layer, own)
	}
}

// programs are the images of one program each.
func (b *builder) programs() {
	tmp := file{name: "tmp", mode: 0o1777}
	pause := b.files(file{name: "pause", mode: 0o755, data: b.read(b.from.Pause)})
	b.image("pause:3.10.2", v1.Config{Entrypoint: []string{"/pause", "sleep"}, User: "65535:65535"}, pause)
	b.image(e2e+"sample-apiserver:1.29.2", v1.Config{Entrypoint: []string{"/sample-apiserver"}},
		b.files(tmp, file{name: "sample-apiserver", mode: 0o755, data: b.program("sample-apiserver")}))
	b.image("etcd:3.7.0-0", v1.Config{Cmd: []string{"/usr/local/bin/etcd"}},
		b.files(tmp, file{name: "usr/local/bin/etcd", mode: 0o755, data: b.program("server")}))
	b.image(e2e+"nonewprivs:1.4", v1.Config{Cmd: []string{"nnp"}}, b.root.layer,
		b.files(file{name: "usr/local/bin/nnp", mode: 0o4755, data: b.program("nonewprivs")}))
	b.image(e2e+"resource-consumer:1.14", v1.Config{Entrypoint: []string{"/consumer"}}, b.root.layer,
		b.files(file{name: "consumer", mode: 0o755, data: b.program("resource-consumer")}, file{name: "consume-cpu", mode: 0o755, data: b.program("consume-cpu")}))
	b.image(e2e+"regression-issue-74839:1.5", v1.Config{Entrypoint: []string{"/regression-issue-74839"}}, b.root.layer,
		b.files(file{name: "regression-issue-74839", mode: 0o755, data: b.program("regression-issue-74839")}))
}

func (b *builder) image(name string, config v1.Config, layers ...v1.Layer) {
	if b.err != nil {
		return
	}
	config.Env = []string{paths}
	img, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), layers...)
	if err != nil {
		b.err = fmt.Errorf("image %s: %w", name, err)
		return
	}
	have, err := img.ConfigFile()
	if err != nil {
		b.err = fmt.Errorf("image %s: %w", name, err)
		return
	}
	full := have.DeepCopy()
	full.Architecture, full.OS, full.Config = "amd64", "linux", config
	if b.images[name], err = mutate.ConfigFile(img, full); err != nil {
		b.err = fmt.Errorf("image %s: %w", name, err)
	}
}

func (b *builder) files(files ...file) v1.Layer {
	if b.err != nil {
		return nil
	}
	var l v1.Layer
	l, b.err = layer(files...)
	return l
}

func (b *builder) program(name string) []byte { return b.read(filepath.Join(b.from.Programs, name)) }

func (b *builder) read(path string) []byte {
	if b.err != nil {
		return nil
	}
	var data []byte
	data, b.err = os.ReadFile(path)
	return data
}
