package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/inventory"
	"github.com/gantry-run/gantry/provider/model"
)

var _ function.Function = parseHostsFunction{}

// parseHostsFunction is parse_hosts.
type parseHostsFunction struct{}

type parsedHost struct {
	Address types.String `tfsdk:"address"`
	SSH     types.Object `tfsdk:"ssh"`
}

func parsedSSHType() map[string]attr.Type {
	return map[string]attr.Type{"user": types.StringType, "port": types.Int64Type}
}

func parsedHostType() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{"address": types.StringType, "ssh": types.ObjectType{AttrTypes: parsedSSHType()}}}
}

// Metadata names the function.
func (parseHostsFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "parse_hosts"
}

// Definition describes it.
func (parseHostsFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Reads a list of servers",
		MarkdownDescription: "Reads a list of servers and returns a map for `masters` or `hosts`. There is one server a line, or several with commas between: " +
			"`[user@]address[:port]`, alone, after a name (`worker-1 10.0.0.21`) or as `worker-1=10.0.0.21`. Lines of an INI inventory are understood too, " +
			"with `ansible_host`, `ansible_user` and `ansible_port`. A server without a name is called by the first label of its DNS name, or `node-10-0-0-21`. " +
			"What follows `#` or `;` is left out.",
		Parameters:        []function.Parameter{function.StringParameter{Name: "text", MarkdownDescription: "The list, such as `file(\"hosts.ini\")`."}},
		VariadicParameter: function.StringParameter{Name: "groups", MarkdownDescription: "Groups of the inventory to take; all servers where none is given."},
		Return:            function.MapReturn{ElementType: parsedHostType()},
	}
}

// Run reads the list.
func (parseHostsFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var text string
	var groups []string
	if resp.Error = req.Arguments.Get(ctx, &text, &groups); resp.Error != nil {
		return
	}
	hosts, err := inventory.ParseHosts(text, groups)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, "The list of servers cannot be read:\n"+err.Error())
		return
	}
	out := map[string]parsedHost{}
	for name, h := range hosts {
		out[name] = parsedHostOf(h)
	}
	resp.Error = resp.Result.Set(ctx, out)
}

func parsedHostOf(h spec.Host) parsedHost {
	p := parsedHost{Address: types.StringValue(h.Address), SSH: types.ObjectNull(parsedSSHType())}
	if h.SSH.User != "" || h.SSH.Port != 0 {
		p.SSH = types.ObjectValueMust(parsedSSHType(), map[string]attr.Value{"user": model.StringOrNull(h.SSH.User), "port": model.Int64OrNull(h.SSH.Port)})
	}
	return p
}
