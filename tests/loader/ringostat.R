# Two requests as the published R package `ringostat` (0.1.5) sends them, written for these tests:
# bare dates with a day added to the last one, a filter, and CSV that is read with semicolons.
#
#     Rscript ringostat.R URL FIRST_DAY LAST_DAY ID

suppressPackageStartupMessages({
  library(httr2)
  library(readr)
})
arguments <- commandArgs(trailingOnly = TRUE)
url <- arguments[[1]]

calls <- function(first_day, last_day, fields, filters = NULL) {
  answer <- request(paste0(url, "/calls/list")) |>
    req_url_query(
      from = as.Date(first_day), to = as.Date(last_day) + 1, fields = paste(fields, collapse = ","),
      filters = filters, merge = 0, order = NULL, export_type = "csv"
    ) |>
    req_headers("Auth-key" = Sys.getenv("RS_API_KEY")) |>
    req_perform() |>
    resp_body_string()
  read_delim(I(answer), delim = ";", show_col_types = FALSE)
}

all_calls <- calls(arguments[[2]], arguments[[3]], c("caller", "pool_name", "billsec", "uniqueid"))
writeLines(paste(all_calls$uniqueid, all_calls$caller, all_calls$pool_name, all_calls$billsec, sep = "|"))

one_call <- calls(
  "2010-01-01", arguments[[3]], c("recording_wav", "has_recording"),
  filters = paste0("uniqueid=", arguments[[4]])
)
writeLines(paste(nrow(one_call), one_call$recording_wav, one_call$has_recording, sep = "|"))
