#include "parts.h"

#include "metadata.h"

#include <errno.h>

static int document_read_texts(struct reader *reader, const struct member members[DOCUMENT_MEMBERS],
			       struct document *draft)
{
	size_t max = reader->limits->max_content_bytes;
	int rc = reader_needed_text(reader, members[DOCUMENT_ID], "id", REQUEST_DOCUMENT_ID_BYTES,
				    "the limit of a document's id", &draft->id);

	if (rc == 0)
		rc = reader_text(reader, members[DOCUMENT_TITLE], "title", max, "limits.max_content", &draft->title);
	if (rc == 0)
		rc = reader_text(reader, members[DOCUMENT_SOURCE], "source", max, "limits.max_content", &draft->source);
	if (rc == 0)
		rc = reader_text(reader, members[DOCUMENT_CONTENT], "content", max, "limits.max_content",
				 &draft->content);
	if (rc == 0)
		rc = metadata_read(reader, members[DOCUMENT_METADATA], "metadata", METADATA_OF_DOCUMENT,
				   &draft->metadata_json);
	return rc;
}

int document_read(struct reader *reader, const struct member members[DOCUMENT_MEMBERS], struct str job_json,
		  struct document **out_document)
{
	struct document draft = {.job_json = job_json}, *made;
	int rc = document_read_texts(reader, members, &draft);

	if (rc == 0)
		rc = chunks_read(reader, members[DOCUMENT_CHUNKS], &draft);
	if (rc == 0)
		rc = graph_read(reader, members[DOCUMENT_ENTITIES], members[DOCUMENT_RELATIONSHIPS], &draft);
	if (rc != 0)
		return rc;
	document_hash(&draft);
	made = document_pack(&draft);
	if (made == NULL)
		return reader_no_memory(reader);
	*out_document = made;
	return 0;
}
