package plan

import (
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/provider/model"
)

// Status is the status that a plan shows. With certain set, changed hosts are promised
// to be ready, with the bundle's version; a create, which succeeds when only some hosts are,
// can promise neither. Version is the bundle's, and unknown as long as that is.
func Status(prior map[string]model.HostStatus, desired map[string]model.Desired, version types.String, certain bool) map[string]model.HostStatus {
	out := map[string]model.HostStatus{}
	for name, d := range desired {
		old, existed := prior[name]
		out[name] = hostStatus(old, existed && old.Address.Equal(d.Address), d, version, certain)
	}
	return out
}

// hostStatus is the planned entry of one host; sameServer is whether old is of the
// server that the plan has under that name.
func hostStatus(old model.HostStatus, sameServer bool, d model.Desired, version types.String, certain bool) model.HostStatus {
	next := model.HostStatus{
		State: types.StringUnknown(), Message: types.StringUnknown(), Config: types.StringUnknown(),
		Address: d.Address, HostKey: d.HostKey, Version: types.StringUnknown(),
	}
	if certain {
		next.Version = version
	}
	if d.HostKey.IsNull() {
		next.HostKey = types.StringUnknown()
		if sameServer && old.HostKey.ValueString() != "" {
			next.HostKey = old.HostKey
		}
	}
	if !d.Known {
		return next
	}
	next.Config = types.StringValue(d.Hash)
	if certain {
		next.State, next.Message = types.StringValue(string(bootstrap.Ready)), types.StringValue("")
	}
	if sameServer && old.Is(bootstrap.Ready) && old.Config.ValueString() == d.Hash && old.HostKey.Equal(next.HostKey) {
		return old
	}
	return next
}

// Changed are the hosts whose entry a plan changes, in order of their names.
func Changed(prior, planned map[string]model.HostStatus) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(planned)) {
		if old, ok := prior[name]; !ok || old != planned[name] {
			out = append(out, name)
		}
	}
	return out
}
