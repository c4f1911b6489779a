package model

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
)

func storageValue(t *testing.T, m Storage) types.Object {
	t.Helper()
	o, diags := types.ObjectValueFrom(t.Context(), storageType(), m)
	fine(t, diags)
	return o
}

func storageType() map[string]attr.Type {
	return map[string]attr.Type{"path": types.StringType, "reserve": types.StringType}
}

func TestStorageThereAndBack(t *testing.T) {
	var diags diag.Diagnostics
	for _, want := range []spec.Storage{{Path: "/srv"}, {Reserve: "10%"}, {Path: "/srv", Reserve: "5Gi"}} {
		if got := storageSpec(t.Context(), storageValue(t, *StorageOf(want)), &diags); got != want {
			t.Errorf("%+v became %+v", want, got)
		}
	}
	if StorageOf(spec.Storage{}) != nil {
		t.Error("defaults are told")
	}
	for what, o := range map[string]types.Object{"null": types.ObjectNull(storageType()), "unknown": types.ObjectUnknown(storageType())} {
		if got := storageSpec(t.Context(), o, &diags); got != (spec.Storage{}) {
			t.Errorf("%s: %+v", what, got)
		}
	}
	fine(t, diags)
}

func TestThePlaceOfVolumesStays(t *testing.T) {
	none, srv := types.ObjectNull(storageType()), storageValue(t, Storage{Path: str("/srv")})
	for what, tt := range map[string]struct {
		now, was types.Object
		refused  bool
	}{
		"none":       {none, none, false},
		"as it was":  {srv, srv, false},
		"another":    {storageValue(t, Storage{Path: str("/data")}), srv, true},
		"given":      {srv, none, true},
		"taken":      {none, srv, true},
		"a reserve":  {storageValue(t, Storage{Path: str("/srv"), Reserve: str("5%")}), srv, false},
		"who knows?": {types.ObjectUnknown(storageType()), srv, false},
	} {
		var diags diag.Diagnostics
		if SameStoragePath(t.Context(), tt.now, tt.was, &diags); diags.HasError() != tt.refused {
			t.Errorf("%s: %v", what, diags)
		}
	}
}
