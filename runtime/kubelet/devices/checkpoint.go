package devices

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gantry-run/gantry/runtime/durable"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// grant is what a container was given of one resource: the devices, and what their plugin
// said that the container needs for them.
type grant struct {
	Devices []string        `json:"devices"`
	Edits   container.Edits `json:"edits"`
}

// checkpoint keeps what outlives this process: what pods were given, each in its
// directory, and which resources plugins had. A pod that asks for one of those must not
// run without it because its plugin has not come back yet.
type checkpoint struct {
	layout poddir.Layout
	disk   durable.FS
}

func (c checkpoint) resourcesFile() string { return filepath.Join(c.layout.Root, "devices.json") }
func (c checkpoint) podFile(uid string) string {
	return filepath.Join(c.layout.Pod(uid), "devices.json")
}

func (c checkpoint) saveResources(names []string) error {
	return c.save(c.resourcesFile(), names)
}

func (c checkpoint) savePod(uid string, g grants) error {
	if err := os.MkdirAll(c.layout.Pod(uid), 0o750); err != nil {
		return fmt.Errorf("keep the devices of pod %s: %w", uid, err)
	}
	return c.save(c.podFile(uid), g)
}

func (c checkpoint) save(file string, v any) error {
	data, err := json.Marshal(v)
	if err == nil {
		err = durable.WriteFile(c.disk, file, data, durable.Attributes{Mode: 0o600})
	}
	if err != nil {
		return fmt.Errorf("keep what is known of devices: %w", err)
	}
	return nil
}

func (c checkpoint) removePod(uid string) error {
	if err := os.Remove(c.podFile(uid)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the devices of pod %s: %w", uid, err)
	}
	return nil
}

// load reads all of it.
func (c checkpoint) load() (resources []string, pods map[string]grants, err error) {
	pods = map[string]grants{}
	uids, err := c.layout.UIDs()
	if err != nil {
		return nil, nil, fmt.Errorf("list the pods that may have devices: %w", err)
	}
	err = read(c.resourcesFile(), &resources)
	for _, uid := range uids {
		var g grants
		if failed := read(c.podFile(uid), &g); failed != nil {
			err = errors.Join(err, failed)
		} else if len(g) > 0 {
			pods[uid] = g
		}
	}
	return resources, pods, err
}

// read leaves v as it is where there is no file.
func read(file string, v any) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("read what was kept of devices in %s: %w", file, err)
	}
	return nil
}
