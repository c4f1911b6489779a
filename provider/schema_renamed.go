package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// listNow is an attribute of version 0 that has become a list of another name. Terraform
// drops what a nested object has and the schema has not, without a word, and the cluster
// would be planned with other addresses: so it stays in the schema, and is refused.
func listNow(name string) schema.StringAttribute {
	r := refusedFor{name}
	return schema.StringAttribute{Optional: true, Validators: []validator.String{r}, DeprecationMessage: r.remedy("…"), MarkdownDescription: "Refused: `" + name + "` is the list in its place."}
}

// refusedFor refuses any text, and names the list to write it in.
type refusedFor struct{ list string }

func (r refusedFor) remedy(text string) string { return fmt.Sprintf("Write %s = [%q].", r.list, text) }

// Description is part of the documentation.
func (r refusedFor) Description(context.Context) string { return r.remedy("…") }

// MarkdownDescription is the same.
func (r refusedFor) MarkdownDescription(ctx context.Context) string { return r.Description(ctx) }

// ValidateString refuses what is set.
func (r refusedFor) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !req.ConfigValue.IsNull() && !req.ConfigValue.IsUnknown() {
		resp.Diagnostics.AddAttributeError(req.Path, "The attribute is a list now", r.remedy(req.ConfigValue.ValueString()))
	}
}
