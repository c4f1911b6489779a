package login

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/provider/model"
)

// Profiles are the ways to log in, by name; the block ssh has the name "".
type Profiles map[string]ssh.Config

// Read returns the block ssh and the profiles. It is false as long as a value of them
// is not known: nobody can be contacted then.
func Read(ctx context.Context, block types.Object, profiles types.Map, diags *diag.Diagnostics) (Profiles, bool) {
	if !model.Known(ctx, block, profiles) {
		return nil, false
	}
	var b Block
	if !block.IsNull() {
		model.As(ctx, block, &b, diags)
	}
	others := map[string]Block{}
	diags.Append(profiles.ElementsAs(ctx, &others, false)...)
	if diags.HasError() {
		return nil, true
	}
	first := b.config(ctx, path.Root("ssh"), diags)
	out := Profiles{"": first}
	for _, name := range slices.Sorted(maps.Keys(others)) {
		p := others[name]
		c := p.withDefaults(b).config(ctx, path.Root("ssh_profiles").AtMapKey(name), diags)
		if p.JumpHosts.IsNull() {
			c.Jumps = first.Jumps // the same jump hosts, and the same connections to them
		}
		out[name] = c
	}
	return out, true
}

// Of is how a host is logged in to.
func (p Profiles) Of(h spec.Host) (ssh.Config, error) {
	c, ok := p[h.SSH.Profile]
	if !ok {
		return c, fmt.Errorf("host %s is to be logged in to by the profile %q, and the provider's ssh_profiles have %s", h.Name, h.SSH.Profile, p.names())
	}
	return c, nil
}

// Check refuses hosts whose profile does not exist. At is the attribute that has them.
func (p Profiles) Check(at path.Path, hosts []spec.Host, diags *diag.Diagnostics) {
	for _, h := range hosts {
		if _, err := p.Of(h); err != nil {
			diags.AddAttributeError(at.AtMapKey(h.Name).AtName("ssh").AtName("profile"), "No such profile", err.Error()+".")
		}
	}
}

func (p Profiles) names() string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(p)), func(n string) bool { return n == "" })
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
