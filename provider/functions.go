package provider

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

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

func (parseHostsFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "parse_hosts"
}

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

func (parseHostsFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var text string
	var groups []string
	if resp.Error = req.Arguments.Get(ctx, &text, &groups); resp.Error != nil {
		return
	}
	hosts, err := parseHosts(text, groups)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, "The list of servers cannot be read:\n"+err.Error())
		return
	}
	out := map[string]parsedHost{}
	for name, h := range hosts {
		p := parsedHost{Address: types.StringValue(h.Address), SSH: types.ObjectNull(parsedSSHType())}
		if h.SSH.User != "" || h.SSH.Port != 0 {
			port := types.Int64Null()
			if h.SSH.Port != 0 {
				port = types.Int64Value(int64(h.SSH.Port))
			}
			p.SSH = types.ObjectValueMust(parsedSSHType(), map[string]attr.Value{"user": orNull(h.SSH.User), "port": port})
		}
		out[name] = p
	}
	resp.Error = resp.Result.Set(ctx, out)
}

// quorumFunction is quorum.
type quorumFunction struct{}

func quorumType() map[string]attr.Type {
	return map[string]attr.Type{"majority": types.Int64Type, "tolerance": types.Int64Type}
}

func (quorumFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "quorum"
}

func (quorumFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Says how many masters may be lost",
		MarkdownDescription: "Returns, for a number of masters, how many must live (`majority`) and how many may be lost (`tolerance`).",
		Parameters:          []function.Parameter{function.Int64Parameter{Name: "masters", MarkdownDescription: "Number of masters, such as `length(var.masters)`."}},
		Return:              function.ObjectReturn{AttributeTypes: quorumType()},
	}
}

func (quorumFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var n int64
	if resp.Error = req.Arguments.Get(ctx, &n); resp.Error != nil {
		return
	}
	if n < 1 {
		resp.Error = function.NewArgumentFuncError(0, fmt.Sprintf("%d masters hold no cluster: at least one is required", n))
		return
	}
	majority := n/2 + 1
	resp.Error = resp.Result.Set(ctx, types.ObjectValueMust(quorumType(), map[string]attr.Value{
		"majority": types.Int64Value(majority), "tolerance": types.Int64Value(n - majority),
	}))
}

// mergeFunction is kubeconfig_merge.
type mergeFunction struct{}

func (mergeFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "kubeconfig_merge"
}

func (mergeFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Merges kubeconfigs",
		MarkdownDescription: "Merges kubeconfigs into one. The current context is that of the first which has one. A name that stands for different things in two of them is an error. The result of ephemeral kubeconfigs is ephemeral.",
		VariadicParameter:   function.StringParameter{Name: "kubeconfigs", MarkdownDescription: "Kubeconfigs, as YAML."},
		Return:              function.StringReturn{},
	}
}

func (mergeFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var texts []string
	if resp.Error = req.Arguments.Get(ctx, &texts); resp.Error != nil {
		return
	}
	merged := clientcmdapi.NewConfig()
	for i, text := range texts {
		c, err := clientcmd.Load([]byte(text))
		if err == nil {
			err = mergeKubeconfig(merged, c)
		}
		if err != nil {
			// The text may hold a key: only the parser's words are told.
			resp.Error = function.NewArgumentFuncError(int64(i), "The kubeconfig cannot be merged: "+err.Error())
			return
		}
	}
	out, err := clientcmd.Write(*merged)
	if err != nil {
		resp.Error = function.NewFuncError(err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, string(out))
}

func mergeKubeconfig(into, from *clientcmdapi.Config) error {
	if into.CurrentContext == "" {
		into.CurrentContext = from.CurrentContext
	}
	if err := mergeNamed("cluster", into.Clusters, from.Clusters); err != nil {
		return err
	}
	if err := mergeNamed("user", into.AuthInfos, from.AuthInfos); err != nil {
		return err
	}
	return mergeNamed("context", into.Contexts, from.Contexts)
}

func mergeNamed[T any](kind string, into, from map[string]T) error {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if old, ok := into[name]; ok && !reflect.DeepEqual(old, from[name]) {
			return fmt.Errorf("the %s %q is there already, and differs", kind, name)
		}
		into[name] = from[name]
	}
	return nil
}
