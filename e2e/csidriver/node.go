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
	text, err := os.ReadFile(filepath.Join(n.dir, "delay"))
	if err != nil {
		return
	}
	if s, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		time.Sleep(time.Duration(s) * time.Second)
	}
}

func (n node) NodeStageVolume(_ context.Context, r *spec.NodeStageVolumeRequest) (*spec.NodeStageVolumeResponse, error) {
	if r.VolumeId == "" || r.StagingTargetPath == "" || r.VolumeCapability == nil {
		return nil, status.Error(codes.InvalidArgument, "a volume, a path and a capability have to be named")
	}
	v, err := n.volume(r.VolumeId)
	if err != nil {
		return nil, err
	}
	if r.PublishContext["node"] != n.node {
		return nil, status.Errorf(codes.FailedPrecondition, "the volume is not attached to this node: %v", r.PublishContext)
	}
	n.delay()
	if r.VolumeCapability.GetBlock() != nil {
		return &spec.NodeStageVolumeResponse{}, n.makeFile(v)
	}
	if err := os.MkdirAll(n.data(v.ID), 0o755); err != nil {
		return nil, err
	}
	return &spec.NodeStageVolumeResponse{}, n.mounts.Bind(n.data(v.ID), r.StagingTargetPath, false)
}

func (n node) makeFile(v *volume) error {
	f, err := os.OpenFile(n.data(v.ID), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(v.Size)
}

func (n node) NodeUnstageVolume(_ context.Context, r *spec.NodeUnstageVolumeRequest) (*spec.NodeUnstageVolumeResponse, error) {
	if r.VolumeId == "" || r.StagingTargetPath == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume and a path have to be named")
	}
	return &spec.NodeUnstageVolumeResponse{}, errors.Join(n.mounts.Unmount(r.StagingTargetPath), n.mounts.DetachLoop(n.data(r.VolumeId)))
}

func (n node) NodePublishVolume(_ context.Context, r *spec.NodePublishVolumeRequest) (*spec.NodePublishVolumeResponse, error) {
	if r.VolumeId == "" || r.TargetPath == "" || r.VolumeCapability == nil {
		return nil, status.Error(codes.InvalidArgument, "a volume, a path and a capability have to be named")
	}
	n.delay()
	if r.VolumeContext["csi.storage.k8s.io/ephemeral"] == "true" {
		return &spec.NodePublishVolumeResponse{}, n.publishEphemeral(r)
	}
	if err := n.take(r); err != nil {
		return nil, err
	}
	if r.VolumeCapability.GetBlock() == nil {
		if err := os.MkdirAll(r.TargetPath, 0o755); err != nil {
			return nil, err
		}
		return &spec.NodePublishVolumeResponse{}, n.mounts.Bind(r.StagingTargetPath, r.TargetPath, r.Readonly)
	}
	device, err := n.mounts.AttachLoop(n.data(r.VolumeId))
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(r.TargetPath, os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &spec.NodePublishVolumeResponse{}, errors.Join(f.Close(), n.mounts.Bind(device, r.TargetPath, r.Readonly))
}

// take writes down who has a volume that one may have, and refuses it to another.
func (n node) take(r *spec.NodePublishVolumeRequest) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	v, err := n.volume(r.VolumeId)
	if err != nil || r.VolumeCapability.GetAccessMode().GetMode() != spec.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER {
		return err
	}
	if v.Target != "" && v.Target != r.TargetPath {
		if is, err := n.mounts.Mounted(v.Target); err != nil || is {
			return status.Errorf(codes.FailedPrecondition, "the volume is published at %s already: %v", v.Target, err)
		}
	}
	v.Target = r.TargetPath
	return n.write(volumes, v.ID, v)
}

func (n node) publishEphemeral(r *spec.NodePublishVolumeRequest) error {
	source := n.ephemeral(r.VolumeId)
	if err := errors.Join(os.MkdirAll(source, 0o755), os.MkdirAll(r.TargetPath, 0o755)); err != nil {
		return err
	}
	text := r.VolumeContext["csi.storage.k8s.io/pod.namespace"] + "/" + r.VolumeContext["csi.storage.k8s.io/pod.name"]
	if err := os.WriteFile(filepath.Join(source, "pod"), []byte(text), 0o644); err != nil {
		return err
	}
	return n.mounts.Bind(source, r.TargetPath, r.Readonly)
}

func (n node) NodeUnpublishVolume(_ context.Context, r *spec.NodeUnpublishVolumeRequest) (*spec.NodeUnpublishVolumeResponse, error) {
	if r.VolumeId == "" || r.TargetPath == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume and a path have to be named")
	}
	if err := n.mounts.Unmount(r.TargetPath); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(r.TargetPath); err != nil {
		return nil, err
	}
	return &spec.NodeUnpublishVolumeResponse{}, os.RemoveAll(n.ephemeral(r.VolumeId))
}

// NodeExpandVolume has nothing to do: nothing holds a volume to its size.
func (n node) NodeExpandVolume(_ context.Context, r *spec.NodeExpandVolumeRequest) (*spec.NodeExpandVolumeResponse, error) {
	if r.VolumeId == "" || r.VolumePath == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume and a path have to be named")
	}
	v, err := n.volume(r.VolumeId)
	if err != nil {
		return nil, err
	}
	return &spec.NodeExpandVolumeResponse{CapacityBytes: v.Size}, nil
}

// NodeGetVolumeStats counts the bytes in a volume, of which it has as many as were asked for.
func (n node) NodeGetVolumeStats(_ context.Context, r *spec.NodeGetVolumeStatsRequest) (*spec.NodeGetVolumeStatsResponse, error) {
	if r.VolumeId == "" || r.VolumePath == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume and a path have to be named")
	}
	v, err := n.volume(r.VolumeId)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(r.VolumePath); err != nil {
		return nil, status.Errorf(codes.NotFound, "the volume is not there: %v", err)
	}
	var used int64
	err = filepath.WalkDir(r.VolumePath, func(path string, e os.DirEntry, err error) error {
		if info, statErr := os.Lstat(path); err == nil && statErr == nil && info.Mode().IsRegular() {
			used += info.Size()
		}
		return nil
	})
	return &spec.NodeGetVolumeStatsResponse{Usage: []*spec.VolumeUsage{{Unit: spec.VolumeUsage_BYTES, Total: v.Size, Used: used, Available: v.Size - used}}}, err
}
