package model

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Storage is the attribute storage of a cluster or a pool.
type Storage struct {
	Path    types.String `tfsdk:"path"`
	Reserve types.String `tfsdk:"reserve"`
}

func storageSpec(ctx context.Context, o types.Object, diags *diag.Diagnostics) spec.Storage {
	var m Storage
	if !isSet(o) {
		return spec.Storage{}
	}
	As(ctx, o, &m, diags)
	return spec.Storage{Path: m.Path.ValueString(), Reserve: m.Reserve.ValueString()}
}

// StorageOf is the attribute with these settings; nil where all are the defaults.
func StorageOf(s spec.Storage) *Storage {
	if s == (spec.Storage{}) {
		return nil
	}
	return &Storage{Path: StringOrNull(s.Path), Reserve: StringOrNull(s.Reserve)}
}

// SameStoragePath refuses to change where volumes lie: those that are there would not be
// found any more.
func SameStoragePath(ctx context.Context, now, was types.Object, diags *diag.Diagnostics) {
	if !Known(ctx, now) {
		return
	}
	if a, b := storageSpec(ctx, now, diags).Path, storageSpec(ctx, was, diags).Path; a != b {
		diags.AddAttributeError(path.Root("storage"), "The place of volumes cannot be changed",
			"storage.path is where the volumes of these servers lie: they would not be found at another path. Servers that are to have it elsewhere join in a pool of their own.")
	}
}
