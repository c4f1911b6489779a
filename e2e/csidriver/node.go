package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// node mounts volumes on the server that it runs on.
type node struct {
	spec.UnimplementedNodeServer
	*driver
}

// topologyKey labels nodes with where volumes are: on themselves.
const topologyKey = "topology.test.csi.gantry.run/node"

func (n node) NodeGetInfo(context.Context, *spec.NodeGetInfoRequest) (*spec.NodeGetInfoResponse, error) {
	return &spec.NodeGetInfoResponse{NodeId: n.node, MaxVolumesPerNode: n.limit, AccessibleTopology: &spec.Topology{Segments: map[string]string{topologyKey: n.node}}}, nil
}

func (n node) NodeGetCapabilities(context.Context, *spec.NodeGetCapabilitiesRequest) (*spec.NodeGetCapabilitiesResponse, error) {
	out := &spec.NodeGetCapabilitiesResponse{}
	for _, t := range []spec.NodeServiceCapability_RPC_Type{
		spec.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME, spec.NodeServiceCapability_RPC_EXPAND_VOLUME,
		spec.NodeServiceCapability_RPC_GET_VOLUME_STATS, spec.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		out.Capabilities = append(out.Capabilities, &spec.NodeServiceCapability{Type: &spec.NodeServiceCapability_Rpc{Rpc: &spec.NodeServiceCapability_RPC{Type: t}}})
	}
	return out, nil
}

// delay waits for as long as the file says, if there is one.
func (n node) delay() {
	text, err := os.ReadFile(filepath.Join(n.data, "delay"))
	if err != nil {
		return
	}
	if s, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		time.Sleep(time.Duration(s) * time.Second)
	}
}

func (n node) NodeStageVolume(_ context.Context, r *spec.NodeStageVolumeRequest) (*spec.NodeStageVolumeResponse, error) {
	if r.PublishContext["node"] != n.node {
		return nil, status.Errorf(codes.FailedPrecondition, "the volume is not attached to this node: %v", r.PublishContext)
	}
	n.delay()
	if r.VolumeCapability.GetBlock() != nil {
		return &spec.NodeStageVolumeResponse{}, n.makeFile(r.VolumeId)
	}
	source := n.path(r.VolumeId, "")
	if err := os.MkdirAll(source, 0o755); err != nil {
		return nil, err
	}
	return &spec.NodeStageVolumeResponse{}, bind(source, r.StagingTargetPath, false)
}

func (n node) makeFile(id string) error {
	f, err := os.OpenFile(n.path(id, ".file"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(n.size(id))
}

func (n node) NodeUnstageVolume(_ context.Context, r *spec.NodeUnstageVolumeRequest) (*spec.NodeUnstageVolumeResponse, error) {
	return &spec.NodeUnstageVolumeResponse{}, errors.Join(unmount(r.StagingTargetPath), detachLoop(n.path(r.VolumeId, ".file")))
}

func (n node) NodePublishVolume(_ context.Context, r *spec.NodePublishVolumeRequest) (*spec.NodePublishVolumeResponse, error) {
	n.delay()
	switch {
	case r.VolumeCapability.GetBlock() != nil:
		device, err := attachLoop(n.path(r.VolumeId, ".file"))
		if err != nil {
			return nil, err
		}
		f, err := os.OpenFile(r.TargetPath, os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		return &spec.NodePublishVolumeResponse{}, errors.Join(f.Close(), bind(device, r.TargetPath, r.Readonly))
	case r.VolumeContext["csi.storage.k8s.io/ephemeral"] == "true":
		source := n.path(r.VolumeId, ".ephemeral")
		if err := errors.Join(os.MkdirAll(source, 0o755), os.MkdirAll(r.TargetPath, 0o755)); err != nil {
			return nil, err
		}
		text := r.VolumeContext["csi.storage.k8s.io/pod.namespace"] + "/" + r.VolumeContext["csi.storage.k8s.io/pod.name"]
		if err := os.WriteFile(filepath.Join(source, "pod"), []byte(text), 0o644); err != nil {
			return nil, err
		}
		return &spec.NodePublishVolumeResponse{}, bind(source, r.TargetPath, r.Readonly)
	}
	if err := os.MkdirAll(r.TargetPath, 0o755); err != nil {
		return nil, err
	}
	return &spec.NodePublishVolumeResponse{}, bind(r.StagingTargetPath, r.TargetPath, r.Readonly)
}

func (n node) NodeUnpublishVolume(_ context.Context, r *spec.NodeUnpublishVolumeRequest) (*spec.NodeUnpublishVolumeResponse, error) {
	if err := unmount(r.TargetPath); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(r.TargetPath); err != nil {
		return nil, err
	}
	return &spec.NodeUnpublishVolumeResponse{}, os.RemoveAll(n.path(r.VolumeId, ".ephemeral"))
}

func (n node) NodeExpandVolume(_ context.Context, r *spec.NodeExpandVolumeRequest) (*spec.NodeExpandVolumeResponse, error) {
	size := r.GetCapacityRange().GetRequiredBytes()
	return &spec.NodeExpandVolumeResponse{CapacityBytes: size}, n.setSize(r.VolumeId, size)
}

// NodeGetVolumeStats counts the bytes in a volume, of which it has as many as were asked for.
func (n node) NodeGetVolumeStats(_ context.Context, r *spec.NodeGetVolumeStatsRequest) (*spec.NodeGetVolumeStatsResponse, error) {
	size := n.size(r.VolumeId)
	var used int64
	err := filepath.WalkDir(r.VolumePath, func(path string, e os.DirEntry, err error) error {
		if info, statErr := os.Lstat(path); err == nil && statErr == nil && info.Mode().IsRegular() {
			used += info.Size()
		}
		return nil
	})
	return &spec.NodeGetVolumeStatsResponse{Usage: []*spec.VolumeUsage{{Unit: spec.VolumeUsage_BYTES, Total: size, Used: used, Available: size - used}}}, err
}

// bind mounts source at target, unless something is mounted there.
func bind(source, target string, readOnly bool) error {
	if is, err := mounted(target); err != nil || is {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return status.Errorf(codes.Internal, "bind %s at %s: %v", source, target, err)
	}
	if readOnly {
		return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	return nil
}

func mounted(path string) (bool, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == path {
			return true, nil
		}
	}
	return false, err
}

func unmount(path string) error {
	for {
		is, err := mounted(path)
		if err != nil || !is {
			return err
		}
		if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
			return status.Errorf(codes.Internal, "unmount %s: %v", path, err)
		}
	}
}
