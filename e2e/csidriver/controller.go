package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// controller makes volumes and says which node has which.
type controller struct {
	spec.UnimplementedControllerServer
	*driver
}

func (c controller) ControllerGetCapabilities(context.Context, *spec.ControllerGetCapabilitiesRequest) (*spec.ControllerGetCapabilitiesResponse, error) {
	out := &spec.ControllerGetCapabilitiesResponse{}
	for _, t := range []spec.ControllerServiceCapability_RPC_Type{
		spec.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME, spec.ControllerServiceCapability_RPC_PUBLISH_UNPUBLISH_VOLUME,
		spec.ControllerServiceCapability_RPC_EXPAND_VOLUME, spec.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
		spec.ControllerServiceCapability_RPC_GET_CAPACITY, spec.ControllerServiceCapability_RPC_CLONE_VOLUME,
		spec.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT, spec.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
	} {
		out.Capabilities = append(out.Capabilities, &spec.ControllerServiceCapability{Type: &spec.ControllerServiceCapability_Rpc{Rpc: &spec.ControllerServiceCapability_RPC{Type: t}}})
	}
	return out, nil
}

// here says whether a volume that is wanted at one of the places can be on this node.
func (c controller) here(places []*spec.Topology) bool {
	return len(places) == 0 || slices.ContainsFunc(places, func(t *spec.Topology) bool { return t.Segments[topologyKey] == c.node })
}

func (c controller) CreateVolume(_ context.Context, r *spec.CreateVolumeRequest) (*spec.CreateVolumeResponse, error) {
	if r.Name == "" || len(r.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, "a volume has a name and capabilities")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &volume{ID: idOf(r.Name), Size: max(r.GetCapacityRange().GetRequiredBytes(), 1<<20), Block: r.VolumeCapabilities[0].GetBlock() != nil}
	have, err := c.volume(v.ID)
	switch {
	case err == nil:
		if limit := r.GetCapacityRange().GetLimitBytes(); have.Size < v.Size || limit > 0 && have.Size > limit {
			return nil, status.Errorf(codes.AlreadyExists, "volume %s has %d bytes", r.Name, have.Size)
		}
		v = have
	case status.Code(err) != codes.NotFound:
		return nil, err
	default:
		if !c.here(r.GetAccessibilityRequirements().GetRequisite()) {
			return nil, status.Errorf(codes.ResourceExhausted, "volumes are on node %s only", c.node)
		}
		if free, err := c.free(); err != nil || v.Size > free {
			return nil, status.Errorf(codes.ResourceExhausted, "%d bytes are free, %d are wanted: %v", free, v.Size, err)
		}
		if err := c.fill(v, r.VolumeContentSource); err != nil {
			return nil, err
		}
		if err := c.write(volumes, v.ID, v); err != nil {
			return nil, err
		}
	}
	return &spec.CreateVolumeResponse{Volume: &spec.Volume{
		VolumeId: v.ID, CapacityBytes: v.Size, VolumeContext: r.Parameters, ContentSource: r.VolumeContentSource,
		AccessibleTopology: []*spec.Topology{{Segments: map[string]string{topologyKey: c.node}}},
	}}, nil
}

// fill gives a new volume what is in its source, if it has one.
func (c controller) fill(v *volume, from *spec.VolumeContentSource) error {
	var source string
	var size int64
	switch {
	case from.GetSnapshot() != nil:
		s, err := c.snapshot(from.GetSnapshot().SnapshotId)
		if err != nil {
			return err
		}
		source, size = c.snapshotData(s.ID), s.Size
	case from.GetVolume() != nil:
		s, err := c.volume(from.GetVolume().VolumeId)
		if err != nil {
			return err
		}
		source, size = c.data(s.ID), s.Size
	default:
		return nil
	}
	if v.Size < size {
		return status.Errorf(codes.OutOfRange, "the source has %d bytes, and the volume would have %d", size, v.Size)
	}
	return copyData(c.data(v.ID), source)
}

func (c controller) DeleteVolume(_ context.Context, r *spec.DeleteVolumeRequest) (*spec.DeleteVolumeResponse, error) {
	if r.VolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "no volume is named")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch v, err := c.volume(r.VolumeId); {
	case status.Code(err) == codes.NotFound:
		return &spec.DeleteVolumeResponse{}, nil
	case err != nil:
		return nil, err
	case v.Node != "":
		return nil, status.Errorf(codes.FailedPrecondition, "the volume is attached to node %s", v.Node)
	}
	return &spec.DeleteVolumeResponse{}, c.remove(volumes, r.VolumeId)
}

// GetCapacity is what is free on this node, and nothing on others.
func (c controller) GetCapacity(_ context.Context, r *spec.GetCapacityRequest) (*spec.GetCapacityResponse, error) {
	if t := r.AccessibleTopology; t != nil && !c.here([]*spec.Topology{t}) {
		return &spec.GetCapacityResponse{}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	free, err := c.free()
	return &spec.GetCapacityResponse{AvailableCapacity: free}, err
}

func (c controller) ValidateVolumeCapabilities(_ context.Context, r *spec.ValidateVolumeCapabilitiesRequest) (*spec.ValidateVolumeCapabilitiesResponse, error) {
	if r.VolumeId == "" || len(r.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, "a volume and capabilities have to be named")
	}
	if _, err := c.volume(r.VolumeId); err != nil {
		return nil, err
	}
	return &spec.ValidateVolumeCapabilitiesResponse{Confirmed: &spec.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: r.VolumeCapabilities}}, nil
}

// ControllerPublishVolume gives a volume to the node that it is on.
func (c controller) ControllerPublishVolume(_ context.Context, r *spec.ControllerPublishVolumeRequest) (*spec.ControllerPublishVolumeResponse, error) {
	if r.VolumeId == "" || r.NodeId == "" || r.VolumeCapability == nil {
		return nil, status.Error(codes.InvalidArgument, "a volume, a node and a capability have to be named")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.volume(r.VolumeId)
	switch {
	case err != nil:
		return nil, err
	case r.NodeId != c.node:
		return nil, status.Errorf(codes.NotFound, "volume %s cannot be on a node %s", v.ID, r.NodeId)
	}
	v.Node = r.NodeId
	return &spec.ControllerPublishVolumeResponse{PublishContext: map[string]string{"node": v.Node}}, c.write(volumes, v.ID, v)
}

func (c controller) ControllerUnpublishVolume(_ context.Context, r *spec.ControllerUnpublishVolumeRequest) (*spec.ControllerUnpublishVolumeResponse, error) {
	if r.VolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "no volume is named")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.volume(r.VolumeId)
	if status.Code(err) == codes.NotFound {
		return &spec.ControllerUnpublishVolumeResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	v.Node = ""
	return &spec.ControllerUnpublishVolumeResponse{}, c.write(volumes, v.ID, v)
}

func (c controller) ControllerExpandVolume(_ context.Context, r *spec.ControllerExpandVolumeRequest) (*spec.ControllerExpandVolumeResponse, error) {
	if r.VolumeId == "" || r.CapacityRange == nil {
		return nil, status.Error(codes.InvalidArgument, "a volume and a size have to be named")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v, err := c.volume(r.VolumeId)
	if err != nil {
		return nil, err
	}
	free, err := c.free()
	if more := r.CapacityRange.RequiredBytes - v.Size; err != nil || more > free {
		return nil, status.Errorf(codes.OutOfRange, "%d bytes are free, %d more are wanted: %v", free, more, err)
	}
	v.Size = max(v.Size, r.CapacityRange.RequiredBytes)
	return &spec.ControllerExpandVolumeResponse{CapacityBytes: v.Size, NodeExpansionRequired: true}, c.write(volumes, v.ID, v)
}

// CreateSnapshot copies a volume as it is.
func (c controller) CreateSnapshot(_ context.Context, r *spec.CreateSnapshotRequest) (*spec.CreateSnapshotResponse, error) {
	if r.Name == "" || r.SourceVolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "a snapshot has a name and a source")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.snapshot(idOf(r.Name))
	switch {
	case err == nil && s.Volume != r.SourceVolumeId:
		return nil, status.Errorf(codes.AlreadyExists, "snapshot %s is of volume %s", r.Name, s.Volume)
	case err == nil:
		return &spec.CreateSnapshotResponse{Snapshot: s.message()}, nil
	case status.Code(err) != codes.NotFound:
		return nil, err
	}
	v, err := c.volume(r.SourceVolumeId)
	if err != nil {
		return nil, err
	}
	s = &snapshot{ID: idOf(r.Name), Volume: v.ID, Size: v.Size, Made: c.now()}
	if err := copyData(c.snapshotData(s.ID), c.data(v.ID)); err != nil {
		return nil, err
	}
	return &spec.CreateSnapshotResponse{Snapshot: s.message()}, c.write(snapshots, s.ID, s)
}

func (c controller) DeleteSnapshot(_ context.Context, r *spec.DeleteSnapshotRequest) (*spec.DeleteSnapshotResponse, error) {
	if r.SnapshotId == "" {
		return nil, status.Error(codes.InvalidArgument, "no snapshot is named")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return &spec.DeleteSnapshotResponse{}, c.remove(snapshots, r.SnapshotId)
}

// ListSnapshots pages by the place of an entry in the sorted list.
func (c controller) ListSnapshots(_ context.Context, r *spec.ListSnapshotsRequest) (*spec.ListSnapshotsResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, err := list[snapshot](c.driver, snapshots)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s *snapshot) bool {
		return r.SnapshotId != "" && s.ID != r.SnapshotId || r.SourceVolumeId != "" && s.Volume != r.SourceVolumeId
	})
	from, to := 0, len(all)
	if r.StartingToken != "" {
		if from, err = strconv.Atoi(r.StartingToken); err != nil || from < 0 || from > len(all) {
			return nil, status.Errorf(codes.Aborted, "%q is no token of a list", r.StartingToken)
		}
	}
	out := &spec.ListSnapshotsResponse{}
	if n := int(r.MaxEntries); n > 0 && from+n < to {
		to = from + n
		out.NextToken = strconv.Itoa(to)
	}
	for _, s := range all[from:to] {
		out.Entries = append(out.Entries, &spec.ListSnapshotsResponse_Entry{Snapshot: s.message()})
	}
	return out, nil
}

// copyData copies a directory or a file; a source that nobody has written to is not there.
func copyData(to, from string) error {
	info, err := os.Stat(from)
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		if err := os.RemoveAll(to); err != nil { // what is left of a copy that was cut off
			return err
		}
		return os.CopyFS(to, os.DirFS(from))
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return os.WriteFile(to, data, 0o600)
}
