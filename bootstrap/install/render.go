package install

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

var (
	//go:embed unit.service.tmpl
	unitText string
	//go:embed containerd.toml.tmpl
	containerdText string
)

// disabledPlugins are containerd's plugins that nothing of ours uses.
func disabledPlugins() []string {
	return []string{
		"io.containerd.cri.v1.images",
		"io.containerd.cri.v1.runtime",
		"io.containerd.grpc.v1.cri",
		"io.containerd.internal.v1.opt",
		"io.containerd.internal.v1.restart",
		"io.containerd.internal.v1.tracing",
		"io.containerd.tracing.processor.v1.otlp",
		"io.containerd.nri.v1.nri",
		"io.containerd.image-verifier.v1.bindir",
		"io.containerd.snapshotter.v1.blockfile",
		"io.containerd.snapshotter.v1.btrfs",
		"io.containerd.snapshotter.v1.devmapper",
		"io.containerd.snapshotter.v1.erofs",
		"io.containerd.snapshotter.v1.native",
		"io.containerd.snapshotter.v1.zfs",
		"io.containerd.differ.v1.erofs",
		"io.containerd.mount-handler.v1.erofs",
	}
}

func containerdConfig() ([]byte, error) {
	return render("containerd.toml", containerdText, map[string]any{
		"Root": config.ContainerdRoot, "State": config.ContainerdState, "Socket": config.ContainerdSocket,
		"Disabled": disabledPlugins(),
	})
}

// unitFile renders a component's unit. The units order themselves but none
// requires another: the restart or failure of one stops no other.
func unitFile(c config.Component, n spec.Node) ([]byte, error) {
	var after, wants []string
	switch c {
	case config.APIServer:
		after = []string{config.Etcd.Unit()}
	case config.ControllerManager, config.Scheduler:
		after = []string{config.APIServer.Unit()}
	case config.Kubelet:
		after, wants = []string{config.Containerd.Unit()}, []string{config.Containerd.Unit()}
	}
	mountsFor := ""
	if c == config.Kubelet && n.Kubelet.Storage.Path != "" {
		mountsFor = strings.ReplaceAll(strconv.Quote(n.Kubelet.Storage.Path), "%", "%%") // of units, a specifier
	}
	exec := config.Binary("gantry") + " " + string(c) + " --config " + c.ConfigFile()
	if c == config.Containerd {
		exec = config.Binary("containerd") + " --config " + c.ConfigFile()
	}
	return render(c.Unit(), unitText, map[string]any{
		"Component": c, "Cluster": n.ClusterName, "After": after, "Wants": wants, "Exec": exec, "BinDir": config.BinDir,
		"MountsFor": mountsFor, "Pods": c == config.Containerd, "Sandbox": sandbox(c),
	})
}

func render(name, text string, data any) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("template of %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return b.Bytes(), nil
}
