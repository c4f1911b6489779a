package provider

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/login"
	"github.com/gantry-run/gantry/provider/model"
)

func TestSchemasAreValid(t *testing.T) {
	ctx, p := context.Background(), New("test")()
	var ps provider.SchemaResponse
	p.Schema(ctx, provider.SchemaRequest{}, &ps)
	if d := ps.Schema.ValidateImplementation(ctx); d.HasError() {
		t.Error(d)
	}
	for _, f := range p.Resources(ctx) {
		var rs resource.SchemaResponse
		f().Schema(ctx, resource.SchemaRequest{}, &rs)
		if d := rs.Schema.ValidateImplementation(ctx); d.HasError() {
			t.Error(d)
		}
		for name, a := range rs.Schema.Attributes {
			if a.GetMarkdownDescription() == "" {
				t.Errorf("%s has no description", name)
			}
		}
	}
	for _, f := range p.(*Provider).EphemeralResources(ctx) {
		var es ephemeral.SchemaResponse
		f().Schema(ctx, ephemeral.SchemaRequest{}, &es)
		if d := es.Schema.ValidateImplementation(ctx); d.HasError() {
			t.Error(d)
		}
	}
}

// A handle is given to what takes one as it is: a part that one schema lacks makes
// it unreadable there.
func TestAllTakeTheSameHandle(t *testing.T) {
	ctx, p := context.Background(), New("test")().(*Provider)
	seen := 0
	check := func(of string, kind attr.Type) {
		t.Helper()
		seen++
		if !kind.Equal(model.HandleType()) {
			t.Errorf("%s takes\n%s, a handle is\n%s", of, kind, model.HandleType())
		}
	}
	for _, f := range p.Resources(ctx) {
		var rs resource.SchemaResponse
		f().Schema(ctx, resource.SchemaRequest{}, &rs)
		for _, name := range []string{"cluster", "handle"} {
			if a, ok := rs.Schema.Attributes[name]; ok {
				check(fmt.Sprintf("%T", f()), a.GetType())
			}
		}
	}
	for _, f := range p.EphemeralResources(ctx) {
		var es ephemeral.SchemaResponse
		f().Schema(ctx, ephemeral.SchemaRequest{}, &es)
		check(fmt.Sprintf("%T", f()), es.Schema.Attributes["cluster"].GetType())
	}
	var ds datasource.SchemaResponse
	(&clusterStatusDataSource{}).Schema(ctx, datasource.SchemaRequest{}, &ds)
	check("cluster_status", ds.Schema.Attributes["cluster"].GetType())
	if seen != 5 {
		t.Errorf("%d schemas have a handle", seen)
	}
}

// empty is a value of the type all of whose attributes are null.
func empty(t *testing.T, of attr.Type) attr.Value {
	t.Helper()
	kind := of.TerraformType(t.Context()).(tftypes.Object)
	values := map[string]tftypes.Value{}
	for name, k := range kind.AttributeTypes {
		values[name] = tftypes.NewValue(k, nil)
	}
	v, err := of.ValueFromTerraform(t.Context(), tftypes.NewValue(kind, values))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// What the models are made for is what the schemas have: a field that one lacks is an
// error of decoding.
func TestTheModelsAreThoseOfTheSchemas(t *testing.T) {
	ctx, p := t.Context(), New("test")()
	var ps provider.SchemaResponse
	p.Schema(ctx, provider.SchemaRequest{}, &ps)
	var diags diag.Diagnostics
	block := empty(t, ps.Schema.Attributes["ssh"].GetType()).(types.Object)
	profiles := ps.Schema.Attributes["ssh_profiles"].GetType().(types.MapType)
	logins, known := login.Read(ctx, block, types.MapValueMust(profiles.ElemType, map[string]attr.Value{"a": block}), &diags)
	if !known || len(logins) != 2 {
		t.Errorf("logins %v, known %v", logins, known)
	}
	for _, f := range []struct {
		resource resource.Resource
		hosts    string
	}{{&clusterResource{}, "masters"}, {&nodePoolResource{}, "hosts"}} {
		var rs resource.SchemaResponse
		f.resource.Schema(ctx, resource.SchemaRequest{}, &rs)
		hosts := rs.Schema.Attributes[f.hosts].GetType().(types.MapType)
		one := model.HostOf(ctx, spec.Host{Address: "a", SSH: spec.SSH{User: "u"}}, &diags)
		value, d := types.MapValueFrom(ctx, hosts.ElemType, map[string]model.Host{"h": one})
		diags.Append(d...)
		if got := model.Hosts(ctx, value, &diags); !got["h"].SSH.Equal(one.SSH) {
			t.Errorf("%s is read as %+v", f.hosts, got)
		}
		status := model.StatusValue(ctx, map[string]model.HostStatus{"h": {}}, &diags)
		if kind := rs.Schema.Attributes["status"].GetType(); !status.Type(ctx).Equal(kind) {
			t.Errorf("status is %s, of the schema %s", status.Type(ctx), kind)
		}
	}
	if diags.HasError() {
		t.Error(diags)
	}
}
