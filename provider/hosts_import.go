package provider

import (
	"cmp"
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/diagnose"
	"github.com/gantry-run/gantry/provider/inventory"
	"github.com/gantry-run/gantry/provider/model"
)

// discover reads the cluster of the master that an import's ID names, and with it the
// hosts of the pool, where one is named.
func (p *providerData) discover(ctx context.Context, id, pool string, diags *diag.Diagnostics) (bootstrap.Imported, bool) {
	if !p.configured(diags) {
		return bootstrap.Imported{}, false
	}
	master, err := inventory.ParseImport(id, cmp.Or(p.logins[""].User, "root"))
	if err != nil {
		diags.AddError("The import ID cannot be used", err.Error())
		return bootstrap.Imported{}, false
	}
	d, err := p.engine(ctx, 0).Import(ctx, master, pool)
	if err != nil {
		diags.AddError("Nothing was imported", diagnose.Text(err))
		return d, false
	}
	diagnose.Import(d.Unreached, diags)
	return d, true
}

// importedState sets attributes of an imported resource one by one: those that it does
// not name stay null.
type importedState struct {
	ctx  context.Context
	resp *resource.ImportStateResponse
}

func (s importedState) set(name string, value any) {
	s.resp.Diagnostics.Append(s.resp.State.SetAttribute(s.ctx, path.Root(name), value)...)
}

// setHosts sets what clusters and pools have in common.
func (s importedState) setHosts(field string, hosts []spec.Host, k spec.Kubelet, versions map[string]string, b model.Bundle, node func(name string) (spec.Node, bool)) {
	entries, status := model.Imported(s.ctx, hosts, versions, b, node, &s.resp.Diagnostics)
	s.set(field, entries)
	s.set("status", status)
	if kubelet := model.KubeletOf(s.ctx, k, &s.resp.Diagnostics); kubelet != nil {
		s.set("kubelet", *kubelet)
	}
	if storage := model.StorageOf(k.Storage); storage != nil {
		s.set("storage", *storage)
	}
	s.set("drain_timeout", model.DefaultDrainTimeout)
	s.set("on_drain_timeout", model.KeepNode)
}
