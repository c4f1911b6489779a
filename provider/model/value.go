package model

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

// Known reports whether every value below vs is known.
func Known(ctx context.Context, vs ...attr.Value) bool {
	for _, v := range vs {
		t, err := v.ToTerraformValue(ctx)
		if err != nil || !t.IsFullyKnown() {
			return false
		}
	}
	return true
}

// As decodes an object. What is null or not known in it is left empty.
func As(ctx context.Context, o types.Object, into any, diags *diag.Diagnostics) {
	diags.Append(o.As(ctx, into, basetypes.ObjectAsOptions{UnhandledNullAsEmpty: true, UnhandledUnknownAsEmpty: true})...)
}

// isSet reports whether a collection has elements that can be read.
func isSet(v attr.Value) bool { return !v.IsNull() && !v.IsUnknown() }

// StringOrNull is null for the empty string, as an attribute that was left out.
func StringOrNull(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

// Int64OrNull is null for 0, as an attribute that was left out.
func Int64OrNull(n int) types.Int64 {
	if n == 0 {
		return types.Int64Null()
	}
	return types.Int64Value(int64(n))
}

// StringMap is null for an empty map, as an attribute that was left out.
func StringMap(ctx context.Context, m map[string]string, diags *diag.Diagnostics) types.Map {
	if len(m) == 0 {
		return types.MapNull(types.StringType)
	}
	v, d := types.MapValueFrom(ctx, types.StringType, m)
	diags.Append(d...)
	return v
}

// readStrings is nil for a map that is null or not known.
func readStrings(ctx context.Context, m types.Map, diags *diag.Diagnostics) map[string]string {
	var out map[string]string
	if isSet(m) {
		diags.Append(m.ElementsAs(ctx, &out, true)...)
	}
	return out
}

// StringList is a list of known strings, in their order.
func StringList(in []string) types.List {
	out := make([]attr.Value, len(in))
	for i, s := range in {
		out[i] = types.StringValue(s)
	}
	return types.ListValueMust(types.StringType, out)
}

// Duration is a duration that was validated; 0 where there is none.
func Duration(s types.String) time.Duration {
	return DurationOr(s, 0)
}

// DurationOr is a duration that was validated, or the fallback where there is none.
func DurationOr(s types.String, fallback time.Duration) time.Duration {
	d, err := time.ParseDuration(s.ValueString())
	if err != nil {
		return fallback
	}
	return d
}

// RFC3339 is a point in time, in UTC, as attributes have it.
func RFC3339(t time.Time) types.String { return types.StringValue(t.UTC().Format(time.RFC3339)) }

// ExpandHome makes ~/x of a configuration the x in the user's home, as a shell would.
func ExpandHome(file string) string {
	rest, found := strings.CutPrefix(file, "~/")
	if !found {
		return file
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return file
	}
	return filepath.Join(home, rest)
}
