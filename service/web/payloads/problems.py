"""Problem details, the one shape of errors. Source: RFC 9457."""

from marshmallow import INCLUDE, Schema, fields


class ProblemErrorSchema(Schema):
    """One thing that is wrong with a request."""

    location = fields.String(data_key="in", metadata={"enum": ["json", "query", "form"]})
    path = fields.String(metadata={"description": "Where it is: `expression.value`."})
    detail = fields.String()


class ProblemSchema(Schema):
    """What went wrong; some errors add members of their own."""

    class Meta:
        """Options of marshmallow."""

        unknown = INCLUDE

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    request_id = fields.String(required=True, data_key="requestId")
    errors = fields.List(fields.Nested(ProblemErrorSchema))
