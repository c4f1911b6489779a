package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ function.Function = quorumFunction{}

// quorumFunction is quorum.
type quorumFunction struct{}

func quorumType() map[string]attr.Type {
	return map[string]attr.Type{"majority": types.Int64Type, "tolerance": types.Int64Type}
}

// Metadata names the function.
func (quorumFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "quorum"
}

// Definition describes it.
func (quorumFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Says how many masters may be lost",
		MarkdownDescription: "Returns, for a number of masters, how many must live (`majority`) and how many may be lost (`tolerance`).",
		Parameters:          []function.Parameter{function.Int64Parameter{Name: "masters", MarkdownDescription: "Number of masters, such as `length(var.masters)`."}},
		Return:              function.ObjectReturn{AttributeTypes: quorumType()},
	}
}

// Run counts.
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
