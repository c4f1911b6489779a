package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// driver is what both services know. It keeps everything in files.
type driver struct {
	spec.UnimplementedIdentityServer
	name, node, data string
	limit            int64
}

func (d *driver) GetPluginInfo(context.Context, *spec.GetPluginInfoRequest) (*spec.GetPluginInfoResponse, error) {
	return &spec.GetPluginInfoResponse{Name: d.name, VendorVersion: "0"}, nil
}

func (d *driver) GetPluginCapabilities(context.Context, *spec.GetPluginCapabilitiesRequest) (*spec.GetPluginCapabilitiesResponse, error) {
	service := func(t spec.PluginCapability_Service_Type) *spec.PluginCapability {
		return &spec.PluginCapability{Type: &spec.PluginCapability_Service_{Service: &spec.PluginCapability_Service{Type: t}}}
	}
	return &spec.GetPluginCapabilitiesResponse{Capabilities: []*spec.PluginCapability{
		service(spec.PluginCapability_Service_CONTROLLER_SERVICE),
		{Type: &spec.PluginCapability_VolumeExpansion_{VolumeExpansion: &spec.PluginCapability_VolumeExpansion{Type: spec.PluginCapability_VolumeExpansion_ONLINE}}},
	}}, nil
}

func (d *driver) Probe(context.Context, *spec.ProbeRequest) (*spec.ProbeResponse, error) {
	return &spec.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}

// path is where something of a volume lies.
func (d *driver) path(id, what string) string {
	return filepath.Join(d.data, "volumes", filepath.Base(id)+what)
}

func (d *driver) size(id string) int64 {
	text, _ := os.ReadFile(d.path(id, ".size"))
	n, _ := strconv.ParseInt(string(text), 10, 64)
	return n
}

func (d *driver) setSize(id string, n int64) error {
	return os.WriteFile(d.path(id, ".size"), []byte(strconv.FormatInt(n, 10)), 0o600)
}

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
	} {
		out.Capabilities = append(out.Capabilities, &spec.ControllerServiceCapability{Type: &spec.ControllerServiceCapability_Rpc{Rpc: &spec.ControllerServiceCapability_RPC{Type: t}}})
	}
	return out, nil
}

func (c controller) CreateVolume(_ context.Context, r *spec.CreateVolumeRequest) (*spec.CreateVolumeResponse, error) {
	if r.Name == "" || len(r.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, "a volume has a name and capabilities")
	}
	size := max(r.GetCapacityRange().GetRequiredBytes(), 1<<20)
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(r.Name)))[:32]
	if err := c.setSize(id, size); err != nil {
		return nil, err
	}
	return &spec.CreateVolumeResponse{Volume: &spec.Volume{VolumeId: id, CapacityBytes: size, VolumeContext: r.Parameters}}, nil
}

func (c controller) DeleteVolume(_ context.Context, r *spec.DeleteVolumeRequest) (*spec.DeleteVolumeResponse, error) {
	if _, err := os.Stat(c.path(r.VolumeId, ".attached")); err == nil {
		return nil, status.Error(codes.FailedPrecondition, "the volume is attached")
	}
	for _, what := range []string{"", ".size", ".file"} {
		if err := os.RemoveAll(c.path(r.VolumeId, what)); err != nil {
			return nil, err
		}
	}
	return &spec.DeleteVolumeResponse{}, nil
}

func (c controller) ValidateVolumeCapabilities(_ context.Context, r *spec.ValidateVolumeCapabilitiesRequest) (*spec.ValidateVolumeCapabilitiesResponse, error) {
	return &spec.ValidateVolumeCapabilitiesResponse{Confirmed: &spec.ValidateVolumeCapabilitiesResponse_Confirmed{VolumeCapabilities: r.VolumeCapabilities}}, nil
}

// ControllerPublishVolume gives a volume to one node at a time.
func (c controller) ControllerPublishVolume(_ context.Context, r *spec.ControllerPublishVolumeRequest) (*spec.ControllerPublishVolumeResponse, error) {
	at := c.path(r.VolumeId, ".attached")
	if have, err := os.ReadFile(at); err == nil && string(have) != r.NodeId {
		return nil, status.Errorf(codes.FailedPrecondition, "the volume is attached to node %s", have)
	}
	if err := os.WriteFile(at, []byte(r.NodeId), 0o600); err != nil {
		return nil, err
	}
	return &spec.ControllerPublishVolumeResponse{PublishContext: map[string]string{"node": r.NodeId}}, nil
}

func (c controller) ControllerUnpublishVolume(_ context.Context, r *spec.ControllerUnpublishVolumeRequest) (*spec.ControllerUnpublishVolumeResponse, error) {
	if err := os.Remove(c.path(r.VolumeId, ".attached")); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return &spec.ControllerUnpublishVolumeResponse{}, nil
}

func (c controller) ControllerExpandVolume(_ context.Context, r *spec.ControllerExpandVolumeRequest) (*spec.ControllerExpandVolumeResponse, error) {
	return &spec.ControllerExpandVolumeResponse{CapacityBytes: r.GetCapacityRange().GetRequiredBytes(), NodeExpansionRequired: true}, nil
}
